"""HTML for notebooks: no scripts, no files to fetch, every text escaped."""

from __future__ import annotations

import base64
from html import escape
from typing import Any

_ROWS = 10
_REASONS = 1_000_000
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
    # The reasons of very many rows are found only when somebody asks for them.
    rules = result.rules if given - stay <= _REASONS else {"gone": given - stay}
    steps = [("given", given), *((rule, -count) for rule, count in rules.items()), ("stay", stay)]
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


class Gallery:
    """Samples with their pictures, for a notebook."""

    def __init__(self, samples: Any) -> None:
        self._samples = list(samples)

    def _repr_html_(self) -> str:
        figures = "".join(map(_figure, self._samples))
        return f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{figures}</div>"

    def __repr__(self) -> str:
        return f"<curate.Gallery of {len(self._samples)} samples>"


def gallery(samples: Any) -> Gallery:
    """Samples with their pictures and captions, for a notebook: `pool.samples(rows, images=True)`."""
    return Gallery(samples)


def _figure(sample: Any) -> str:
    picture = ""
    if sample.image is not None:
        data = base64.b64encode(sample.image).decode()
        picture = f"<img src='data:{_kind(sample.image)};base64,{data}' height='96'>"
    caption = escape((sample.caption or "")[:120])
    return f"<figure style='margin:0;width:120px'>{picture}<figcaption>{caption}</figcaption></figure>"


def _kind(image: bytes) -> str:
    kinds = {b"\x89PNG": "image/png", b"GIF8": "image/gif", b"RIFF": "image/webp", b"BM": "image/bmp"}
    found = (kind for start, kind in kinds.items() if image.startswith(start))
    return next(found, "image/jpeg")


def run_html(run: Any) -> str:
    """The funnel of a run's stages."""
    stages = run.stages.to_dict()
    steps = [("pool", run.rows), *zip(stages["name"], stages["rows_out"])]
    rows = "".join(_step(name, count, run.rows) for name, count in steps)
    return f"<p><b>Run</b> {escape(str(run.folder))}</p><table><tbody>{rows}</tbody></table>"
