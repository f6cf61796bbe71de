"""Tables of training runs, from whatever holds one."""

from __future__ import annotations

import json
import math
from typing import Any


def json_lines(runs: Any) -> str:
    """The rows of a table as JSON lines, without what is missing."""
    return "".join(json.dumps(_row(row)) + "\n" for row in _rows(runs))


def _rows(runs: Any) -> list[dict[str, Any]]:
    if hasattr(runs, "to_dicts"):  # polars
        return list(runs.to_dicts())
    if hasattr(runs, "to_pylist"):  # pyarrow
        return list(runs.to_pylist())
    if hasattr(runs, "to_dict") and hasattr(runs, "iloc"):  # pandas
        return list(runs.to_dict(orient="records"))
    if isinstance(runs, dict):
        names = list(runs)
        return [dict(zip(names, row)) for row in zip(*runs.values(), strict=True)]
    return list(runs)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in row.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _plain(value: Any) -> Any:
    """A number or text that JSON knows."""
    if hasattr(value, "item"):  # NumPy's scalars
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value
