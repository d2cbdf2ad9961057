"""What notebooks show: HTML of a check's record, made of the same parts as the report."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from openforge import resources, view
from openforge.plain import plain

if TYPE_CHECKING:
    from IPython.display import HTML

    from openforge.record import CheckRecord

# JupyterLab drops <style> of notebooks that it does not trust, and aligns what is in cells right.
_ALIGNED = re.compile(r"<(t[dh])(?![^>]*\bnumber\b)")


@functools.cache
def environment() -> Environment:
    """The templates of reports and displays; whatever comes from a design is escaped.

    Users can bring templates of their own, so templates are sandboxed: they see values only.
    """
    made = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(resources.folder("templates") / "report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(span=view.span, size=view.size, moment=view.moment, decimal=view.decimal)
    return made


def summary(run: CheckRecord) -> HTML:
    """The verdict, its reason, its bounds and assumptions, and the metrics."""
    return _show("banner", run, "summary")


def findings(run: CheckRecord) -> HTML:
    """Findings with place and source lines."""
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


def leak(run: CheckRecord) -> HTML:
    """The way of a leak from the secret to what is observed, and waveforms of both runs."""
    return _show("leak", run)


def power(run: CheckRecord) -> HTML:
    """t over cycles for each order, beside the thresholds, and the mean power of both classes."""
    return _show("power", run)


def traces(run: CheckRecord) -> HTML:
    """The largest |t| over the number of traces, and both classes where it is largest."""
    return _show("traces", run)


def leaking_nets(run: CheckRecord) -> HTML:
    """The nets and probing sets that leak, and |z| of the strongest nets by cycle."""
    return _show("leaking_nets", run)


def source_heat(run: CheckRecord) -> HTML:
    """The source lines that leaking nets come from."""
    return _show("source_heat", run)


def pair(run: CheckRecord) -> HTML:
    """Waveforms of one trace of each class, around the strongest leak."""
    return _show("pair", run)


def cpa(run: CheckRecord) -> HTML:
    """How many traces it took to recover each byte of the key; nothing where it was not tried."""
    return _show("cpa", run)


def latency(run: CheckRecord) -> HTML:
    """How many cycles operations took, and how many operations took them."""
    return _show("latency", run)


def steps(run: CheckRecord) -> HTML:
    """What each step of the check answered, and how long it took."""
    return _show("steps", run)


def interface(run: CheckRecord) -> HTML:
    """The security annotation as it was read, with what was inferred and why."""
    return _show("interface", run)


def provenance(run: CheckRecord) -> HTML:
    """Tools, versions, seeds, parameters: what it takes to get this verdict again."""
    return _show("provenance", run)


def _show(part: str, run: CheckRecord, *more: str) -> HTML:
    from IPython.display import HTML

    shown = "".join(f"{{{{ parts.{name}(check) }}}}" for name in (part, *more))
    template = environment().from_string("{% import 'parts.html' as parts %}" + shown)
    body = _ALIGNED.sub(r'<\1 style="text-align: left"', template.render(check=view.check(run)))
    page = f'<style>{_style()}</style><div class="openforge">{body}</div>'
    return HTML(page)  # type: ignore[no-untyped-call]


@functools.cache
def _style() -> str:
    """The report's style, made stronger than that of JupyterLab and nbconvert."""
    style = (resources.folder("templates") / "report" / "style.css").read_text("utf-8")
    return style.replace(".openforge", ".openforge:not(#_)")


def _shown(value: Any) -> Any:
    """How a template shows a value: nothing for None, and no text that hides what it says."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) and not isinstance(value, Markup) else value
