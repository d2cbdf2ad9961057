"""What notebooks show: HTML of a check's record, made of the same parts as the report."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jinja2

from openforge import resources, view

if TYPE_CHECKING:
    from IPython.display import HTML

    from openforge.record import CheckRecord


@functools.cache
def environment() -> jinja2.Environment:
    """The templates of reports and displays; whatever comes from a design is escaped."""
    loader = jinja2.FileSystemLoader(resources.folder("templates") / "report")
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    made.filters["span"] = view.span
    return made


def summary(run: CheckRecord) -> HTML:
    """The verdict, its reason, its bounds and assumptions, and the metrics."""
    return _show("summary", run)


def findings(run: CheckRecord) -> HTML:
    """Findings with place and source line."""
    return _show("findings", run)


def tests(run: CheckRecord) -> HTML:
    """Every test with status, time and, if it failed, why."""
    return _show("tests", run)


def coverage(run: CheckRecord) -> HTML:
    """Coverage by kind and by file, with the lines that no test reached."""
    return _show("coverage", run)


def properties(run: CheckRecord) -> HTML:
    """Every property with its verdict, engine and depth."""
    return _show("properties", run)


def provenance(run: CheckRecord) -> HTML:
    """Tools, versions, seeds, parameters: what it takes to get this verdict again."""
    return _show("provenance", run)


def _show(part: str, run: CheckRecord) -> HTML:
    from IPython.display import HTML

    template = environment().from_string(
        "{% import 'parts.html' as parts %}<style>{% include 'style.css' %}</style>"
        f'<div class="openforge">{{{{ parts.{part}(check) }}}}</div>'
    )
    return HTML(template.render(check=view.check(run)))  # type: ignore[no-untyped-call]
