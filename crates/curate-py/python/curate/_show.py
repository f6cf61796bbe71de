"""HTML for notebooks: no scripts, no files to fetch, every text escaped."""

from __future__ import annotations

from html import escape
from typing import Any

_ROWS = 10
_CELL = "style='text-align:left;padding:2px 8px'"


def table_html(table: Any) -> str:
    """The first rows of a table."""
    names = table.column_names
    columns = [table.column(name)[:_ROWS] for name in names]
    head = "".join(f"<th {_CELL}>{escape(name)}</th>" for name in names)
    rows = "".join(
        "<tr>" + "".join(f"<td {_CELL}>{_cell(value)}</td>" for value in row) + "</tr>"
        for row in zip(*columns)
    )
    more = len(table) - _ROWS
    rest = f"<p>and {more:,} more rows</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{rest}"


def selected_html(result: Any) -> str:
    """A funnel: how many rows were given, what each rule removed, how many stay."""
    given, stay = len(result.given), len(result)
    steps = [("given", given), *((rule, -count) for rule, count in result.rules.items()), ("stay", stay)]
    rows = "".join(_step(name, count, given) for name, count in steps)
    return f"<p><b>{escape(type(result).__name__)}</b></p><table><tbody>{rows}</tbody></table>"


def _step(name: str, count: int, given: int) -> str:
    width = 240 * abs(count) / max(given, 1)
    color = "#c65f5f" if count < 0 else "#4c78a8"
    bar = f"<div style='background:{color};height:12px;width:{width:.1f}px'></div>"
    share = f"{100 * abs(count) / max(given, 1):.1f} %"
    return (
        f"<tr><td {_CELL}>{escape(name)}</td><td {_CELL}>{count:,}</td>"
        f"<td {_CELL}>{share}</td><td {_CELL}>{bar}</td></tr>"
    )


def _cell(value: object) -> str:
    if value is None:
        return ""
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))


def run_html(run: Any) -> str:
    """The funnel of a run's stages."""
    stages = run.stages.to_dict()
    steps = [("pool", run.rows), *zip(stages["name"], stages["rows_out"])]
    rows = "".join(_step(name, count, run.rows) for name, count in steps)
    return f"<p><b>Run</b> {escape(str(run.folder))}</p><table><tbody>{rows}</tbody></table>"
