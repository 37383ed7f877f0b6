"""Small server-drawn charts: geometry here, markup in templates/components/chart_*.html, colours in the tokens.

Positions are percent of the plot, so a chart follows its column's width while its letters keep their size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template

register = template.Library()

PLOT_TOP, PLOT_BOTTOM = 6.0, 88.0  # percent of the height; the labels live below


@dataclass(frozen=True)
class Mark:
    label: str
    value: float | None
    shown: str
    x: str
    width: str
    y: str
    height: str
    centre: str
    url: str = ""
    labelled: bool = True


@register.inclusion_tag("components/chart_bar.html")
def bar_chart(
    rows: Sequence[Any], title: str, value_label: str = "", unit: str = "", series: int = 0
) -> dict[str, Any]:
    """Bars. `rows`: (label, value) or (label, value, url); a value of None leaves a gap. `unit` follows each number."""
    labels, values, urls = _columns(rows)
    top, ticks = _scale(values)
    return {
        "title": title, "value_label": value_label or title, "series": series, "ticks": _ticks(ticks, top, unit),
        "marks": _marks(labels, values, urls, top=top, unit=unit), "empty": not any(v is not None for v in values),
    }  # fmt: skip


@register.inclusion_tag("components/chart_line.html")
def line_chart(labels: Sequence[str], lines: Sequence[Any], title: str, unit: str = "") -> dict[str, Any]:
    """Lines over common labels. `lines`: (name, values) each; None breaks a line. At most four lines."""
    shown = [(str(name), list(values)) for name, values in lines][:4]
    top, ticks = _scale([value for _name, values in shown for value in values])
    drawn = []
    for index, (name, values) in enumerate(shown):
        marks = _marks(labels, values, [""] * len(values), top=top, unit=unit)
        drawn.append({"name": name, "series": index, "marks": marks, "paths": _paths(marks)})
    table = [
        (label, [_shown(values[i] if i < len(values) else None, unit) for _name, values in shown])
        for i, label in enumerate(labels)
    ]
    return {
        "title": title, "lines": drawn, "ticks": _ticks(ticks, top, unit), "table": table,
        "axis": drawn[0]["marks"] if drawn else [], "single": len(drawn) == 1,
        "empty": not any(v is not None for _name, values in shown for v in values),
    }  # fmt: skip


@register.inclusion_tag("components/sparkline.html")
def sparkline(values: Sequence[float | None], label: str, series: int = 0) -> dict[str, Any]:
    """A line without axes; `label` is what a screen reader hears ("Tickets in, last 14 days")."""
    present = [v for v in values if v is not None]
    low, high = (min(present), max(present)) if present else (0, 1)
    spread = (high - low) or 1
    step = 100 / max(1, len(values) - 1)
    points = [(i * step, 92 - (v - low) / spread * 84) for i, v in enumerate(values) if v is not None]
    return {
        "label": label, "series": series, "path": " ".join(f"{x:.2f},{y:.2f}" for x, y in points),
        "area": _area(points, floor=100.0), "values": [_number(v) for v in present],
    }  # fmt: skip


def _columns(rows: Sequence[Any]) -> tuple[list[str], list[float | None], list[str]]:
    labels, values, urls = [], [], []
    for row in rows:
        labels.append(str(row[0]))
        values.append(None if row[1] is None else float(row[1]))
        urls.append(str(row[2]) if len(row) > 2 and row[2] else "")
    return labels, values, urls


def _scale(values: Sequence[float | None]) -> tuple[float, list[float]]:
    """A round top at or above the largest value, and its ticks: at most five, starting at zero."""
    largest = max((v for v in values if v is not None), default=0) or 1
    raw = largest / 4
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw)
    if largest >= 4 and step < 1:
        step = 1
    count = math.ceil(largest / step - 1e-9)
    return step * count, [step * i for i in range(count + 1)]


def _ticks(ticks: Sequence[float], top: float, unit: str) -> list[dict[str, Any]]:
    return [{"y": _at(_height(tick, top)), "shown": _shown(tick, unit)} for tick in ticks]


def _height(value: float, top: float) -> float:
    return PLOT_BOTTOM - (value / top) * (PLOT_BOTTOM - PLOT_TOP)


def _at(position: float) -> str:
    """A coordinate as text, so that no language's number format can reach it."""
    return f"{position:.3f}".rstrip("0").rstrip(".")


def _marks(
    labels: Sequence[str], values: Sequence[float | None], urls: Sequence[str], *, top: float, unit: str
) -> list[Mark]:
    step = 100 / max(1, len(labels))
    share = 0.4 if len(labels) <= 10 else 0.64  # of its step that a bar is wide
    every = math.ceil(len(labels) / 8)
    marks = []
    for i, label in enumerate(labels):
        value = values[i] if i < len(values) else None
        y = _height(value or 0, top)
        marks.append(
            Mark(
                label=str(label),
                value=value,
                shown=_shown(value, unit),
                url=urls[i] if i < len(urls) else "",
                x=_at(step * (i + (1 - share) / 2)),
                width=_at(step * share),
                y=_at(y),
                height=_at(PLOT_BOTTOM - y),
                centre=_at(i * step + step / 2),
                labelled=i % every == 0,
            )
        )
    return marks


def _paths(marks: Sequence[Mark]) -> list[dict[str, str]]:
    """The unbroken stretches of a line, each as points and as the area under it."""
    stretches: list[list[tuple[float, float]]] = [[]]
    for mark in marks:
        if mark.value is None:
            stretches.append([])
        else:
            stretches[-1].append((float(mark.centre), float(mark.y)))
    return [
        {"line": " ".join(f"{x:.2f},{y:.2f}" for x, y in points), "area": _area(points, floor=PLOT_BOTTOM)}
        for points in stretches
        if points
    ]


def _area(points: Sequence[tuple[float, float]], *, floor: float) -> str:
    if not points:
        return ""
    closed = [(points[0][0], floor), *points, (points[-1][0], floor)]
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in closed)


def _shown(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{_number(value)}{unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
