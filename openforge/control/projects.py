"""Projects in the control database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, update
from sqlalchemy.exc import IntegrityError

from openforge.control.database import now
from openforge.control.records import Listing, Project, Wanted
from openforge.control.rows import page
from openforge.control.tables import projects as table
from openforge.errors import NameTaken, NotFound

SORTS = {
    "created_at": table.c.created_at,
    "updated_at": table.c.updated_at,
    "name": table.c.name,
}


def create(connection: Connection, project: Project) -> Project:
    """Add `project`; the one with its id if that is there. Raises NameTaken."""
    there = _find(connection, project.id)
    if there and there.owner == project.owner:
        return there
    _unique(connection, insert(table).values(**project.model_dump()), project.name)
    return project


def get(connection: Connection, project_id: str) -> Project:
    """The project, unless it was deleted. Raises NotFound."""
    found = _find(connection, project_id)
    if found is None or found.deleted_at:
        raise NotFound(f"there is no project '{project_id}'")
    return found


def is_alive(connection: Connection, project_id: str) -> bool:
    """Whether there is such a project, and it was not deleted."""
    found = _find(connection, project_id)
    return found is not None and found.deleted_at is None


def listing(connection: Connection, wanted: Wanted) -> Listing[Project]:
    """A page of projects; filters: ``owner``, ``id``, ``status``, ``name``."""
    query = select(table).where(table.c.deleted_at.is_(None))
    filters = wanted.filters
    for name in ("owner", "id", "name"):
        if filters.get(name) is not None:
            query = query.where(table.c[name] == filters[name])
    if filters.get("status"):
        active = filters["status"] == "active"
        query = query.where(table.c.revision > 0 if active else table.c.revision == 0)
    return page(connection, query, wanted, SORTS, _project)


def change(connection: Connection, project_id: str, values: dict[str, Any]) -> Project:
    """Set some fields. Raises NotFound and NameTaken."""
    get(connection, project_id)
    statement = update(table).where(table.c.id == project_id)
    _unique(connection, statement.values(**values, updated_at=now()), values.get("name", ""))
    return get(connection, project_id)


def delete(connection: Connection, project_id: str) -> None:
    """The project is gone and its name is free; its jobs remain. Raises NotFound."""
    get(connection, project_id)
    connection.execute(update(table).where(table.c.id == project_id).values(deleted_at=now()))


def _unique(connection: Connection, statement: Any, name: str) -> None:
    try:
        connection.execute(statement)
    except IntegrityError as error:
        raise NameTaken(f"there is a project called '{name}' already") from error


def _find(connection: Connection, project_id: str) -> Project | None:
    row = connection.execute(select(table).where(table.c.id == project_id)).mappings().first()
    return _project(row) if row else None


def _project(row: RowMapping) -> Project:
    return Project(**row)
