"""What the check `side_channel` shows: t and power, leaking nets, source lines, key recovery."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from openforge import plots_power, plots_timing, view_fields, view_source
from openforge.plots_power import Band, Line, Thresholds
from openforge.plots_timing import Wave
from openforge.record import PROJECT, CheckRecord
from openforge.view_fields import LONGEST_NAME, cut, size
from openforge.view_rows import Rows, column, grouped, rows

_ORDERS = {
    1: "First order: means",
    2: "Second order: variances",
    3: "Third order: skewness",
}
_UNITS = {
    "hamming_distance": "nets that change",
    "hamming_weight": "nets that are 1",
    "toggle_count": "changes of nets, glitches included",
}
_MEASURED = "measured"  # the series of recorded traces
_MOST_PICTURES = 6
_MOST_LEAKING, _MOST_WAVES = 50, 10
_LONGEST_MEMBERS = 200


class Power:
    """The tables of the check for the templates; each picture is drawn when it is asked for.

    What has no rows in its table is empty, so a check without power shows nothing.
    """

    def __init__(self, record: CheckRecord) -> None:
        self._record = record
        self._thresholds = _thresholds(record)

    @cached_property
    def t_values(self) -> list[dict[str, Any]]:
        """A picture of t over cycles for each order, with the largest |t| of each series."""
        shown = []
        for order, found in grouped(rows(self._record, "t_values"), "order").items():
            lines = _lines(found, "cycle", "t")
            unit, title = _place(found), _ORDERS.get(order, f"Order {order}")
            said = [self._said(name, part) for name, part in grouped(found, "series").items()]
            label = f"t over {unit}s. {title}. {' '.join(said)}"
            plot = plots_power.t_over_cycles(lines, self._thresholds, unit=unit, label=label)
            shown.append({"title": title, "plot": plot, "said": said})
        return shown

    @cached_property
    def mean(self) -> list[dict[str, str]]:
        """A picture of the mean power of both classes for each series."""
        shown = []
        for name, found in grouped(rows(self._record, "power"), "series").items():
            fixed, random = (
                Band(column(found, f"mean_{kind}"), column(found, f"std_{kind}"))
                for kind in ("fixed", "random")
            )
            unit = self._unit(name)
            label = f"Mean power of both classes over {_place(found)}s, {name}; unit: {unit}"
            place = f"{_place(found)}; power: {unit}"
            cycles = column(found, "cycle")
            plot = plots_power.mean_power(cycles, fixed, random, unit=place, label=label)
            shown.append({"title": name, "plot": plot})
        return shown

    @cached_property
    def progress(self) -> list[dict[str, str]]:
        """A picture of the largest |t| over the number of traces for each order."""
        shown = []
        for order, found in grouped(rows(self._record, "t_progress"), "order").items():
            title = _ORDERS.get(order, f"Order {order}")
            label = f"Largest |t| over the number of traces. {title}"
            lines = _lines(found, "traces", "t")
            plot = plots_power.t_over_traces(lines, self._thresholds, label=label)
            shown.append({"title": title, "plot": plot})
        return shown

    @cached_property
    def distributions(self) -> list[dict[str, str]]:
        """Both classes in the cycle of the largest |t|; a picture for orders that share it."""
        samples: dict[tuple[str, int], dict[int, Rows]] = {}
        for row in rows(self._record, "distribution"):
            orders = samples.setdefault((row["series"], row["cycle"]), {})
            orders.setdefault(row["order"], []).append(row)
        shown = []
        for (series, cycle), orders in list(samples.items())[:_MOST_PICTURES]:
            found = next(iter(orders.values()))
            which = " and ".join(str(order) for order in sorted(orders))
            title = f"{series}, {_place(found)} {cycle} (order {which})"
            counts = (column(found, kind) for kind in ("value", "fixed", "random"))
            label = f"Distribution of the power of both classes: {title}"
            plot = plots_power.outlines(*counts, unit=self._unit(series), label=label)
            shown.append({"title": title, "plot": plot})
        return shown

    @cached_property
    def leaking(self) -> Rows:
        """The nets and probing sets that leak, the strongest first; names are cut."""
        found = sorted(rows(self._record, "leaking"), key=lambda row: row["position"])
        return [
            {
                **row,
                "name": cut(row["name"] or "", LONGEST_NAME),
                "members": cut(row["members"] or "", _LONGEST_MEMBERS),
            }
            for row in found[:_MOST_LEAKING]
        ]

    @cached_property
    def more_leaking(self) -> int:
        """How many leaking nets and probing sets are left out of `leaking`."""
        return len(rows(self._record, "leaking")) - len(self.leaking)

    @cached_property
    def nets(self) -> str:
        """A field of |z|: the nets with the largest, over cycles."""
        return view_fields.nets(rows(self._record, "net_heat"), self._thresholds.known)

    @cached_property
    def source(self) -> list[dict[str, Any]]:
        """Lines around those with leaking nets, a file each, the strongest first."""
        project = self._record.path.parent / PROJECT
        return view_source.heat(project, rows(self._record, "source_heat"))

    @cached_property
    def source_lines(self) -> int:
        """How many source lines have nets that were tested."""
        return len(rows(self._record, "source_heat"))

    @cached_property
    def pair(self) -> str:
        """Waveforms of one trace of each class, around the cycle of the strongest leak."""
        values: dict[str, dict[str, list[str]]] = {}
        for row in rows(self._record, "waves"):
            values.setdefault(row["signal"], {}).setdefault(row["copy"], []).append(row["value"])
        shown = [Wave(n, both["a"], both["b"]) for n, both in values.items() if len(both) == 2]
        if not shown or rows(self._record, "flow"):  # with a way of the leak: part of `leak`
            return ""
        cycle = min(self._strongest_cycle(), len(shown[0].first) - 1)
        return plots_timing.waves(shown[:_MOST_WAVES], cycle, "the strongest leak is")

    @cached_property
    def cpa(self) -> list[dict[str, str]]:
        """Ranks, correlations and SNR for each target of key recovery; empty without one."""
        snr = grouped(rows(self._record, "snr"), "target")
        ranks = grouped(rows(self._record, "cpa_ranks"), "target")
        return [
            {
                "target": cut(target, LONGEST_NAME),
                **view_fields.key(ranks.get(target, [])),
                "snr": view_fields.snr(snr.get(target, [])),
            }
            for target in dict.fromkeys([*ranks, *snr])
        ]

    def _unit(self, series: str) -> str:
        if series == _MEASURED:
            return "as measured"
        source = self._record.result.provenance if self._record.result else None
        model = source.params.get("power_model") if source else None
        return _UNITS.get(str(model), "in the unit of the model")

    def _said(self, series: str, found: Rows) -> str:
        """The largest |t| of a series and how it compares with the thresholds."""
        known = [row for row in found if row["t"] is not None]
        if not known:
            return f"{cut(series, LONGEST_NAME)}: t is not defined in any {_place(found)}."
        row = max(known, key=lambda row: size(row["t"]))
        reached = abs(row["t"])
        words = _compared(reached, self._thresholds)
        place = f"{_place(found)} {row['cycle']}"
        return f"{cut(series, LONGEST_NAME)}: largest |t| {reached:,.4g} in {place}, {words}."

    def _strongest_cycle(self) -> int:
        if self.leaking and self.leaking[0]["cycle"] is not None:
            return int(self.leaking[0]["cycle"])
        found = rows(self._record, "t_values")
        return int(max(found, key=lambda row: size(row["t"]))["cycle"]) if found else 0


def _compared(reached: float, thresholds: Thresholds) -> str:
    """How a size compares with the thresholds that there are."""
    plain, corrected = thresholds.plain, thresholds.corrected
    if plain is None or corrected is None:
        return "above the threshold" if reached > thresholds.known[-1] else "below the threshold"
    return {
        (False, False): "below both thresholds",
        (True, False): "above the plain threshold only, which chance alone reaches in many tests",
        (False, True): "above the corrected threshold only",
        (True, True): "above both thresholds",
    }[reached > plain, reached > corrected]


def _thresholds(record: CheckRecord) -> Thresholds:
    result = record.result
    if result is None:
        return Thresholds()
    plain = result.summary.get("threshold")
    corrected = next((m.value for m in result.metrics if m.name == "corrected_threshold"), None)
    return Thresholds(float(plain) if isinstance(plain, int | float) else None, corrected)


def _lines(found: Rows, place: str, value: str) -> list[Line]:
    return [
        Line(cut(name, 40), column(part, place), column(part, value))
        for name, part in grouped(found, "series").items()
    ]


def _place(found: Rows) -> str:
    return "sample" if all(row["series"] == _MEASURED for row in found) else "cycle"
