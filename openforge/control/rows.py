"""Reading rows: one page of a table, with filters and order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Column, Connection, RowMapping, Select, func, select

from openforge.control.records import Listing, Wanted

T = TypeVar("T")


def page(
    connection: Connection,
    query: Select[Any],
    wanted: Wanted,
    order: Mapping[str, Column[Any]],
    make: Callable[[RowMapping], T],
) -> Listing[T]:
    """A page of `query`, sorted by one of `order`; ``-`` before its name reverses.

    Moments come newest first, names from A to Z.
    """
    total = connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    name = wanted.sort.removeprefix("-")
    column = order[name] if name else next(iter(order.values()))
    downwards = column.name.endswith("_at") != wanted.sort.startswith("-")
    key = next(iter(query.selected_columns))  # the primary key breaks ties
    by = (column.desc(), key.desc()) if downwards else (column.asc(), key.asc())
    start = (wanted.page - 1) * wanted.per_page
    found = connection.execute(query.order_by(*by).limit(wanted.per_page).offset(start))
    return Listing(rows=tuple(make(row) for row in found.mappings()), total=total)
