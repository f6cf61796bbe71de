"""Progress of long work: bars, or a callable of the user's."""

from __future__ import annotations

import sys
from typing import Any, Protocol


class Progress(Protocol):
    """What hears of progress: the task's name, units done, units in all, the units' name."""

    def __call__(self, task: str, done: int, total: int, unit: str, /) -> object: ...


def listener(progress: object) -> Progress | None:
    """What `progress=` stands for: nothing, a callable, or bars."""
    from curate._errors import InputError

    if progress is None or progress is False:
        return None
    if progress is True:
        return _bars()
    if callable(progress):
        return progress
    error = InputError(f"`progress`: {progress!r} is neither True, False nor callable")
    error.argument = "progress"
    raise error


def _bars() -> Progress:
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return _Lines()
    return _Bars(tqdm)


class _Bars:
    """A bar of tqdm for each task."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm = tqdm
        self._task: str | None = None
        self._bar: Any = None

    def __call__(self, task: str, done: int, total: int, unit: str, /) -> None:
        if task != self._task or done < self._bar.n:
            self.close()
            self._task = task
            self._bar = self._tqdm(total=total, desc=task, unit=f" {unit}", unit_scale=True, leave=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._task = self._bar = None


class _Lines:
    """A line for each task on the error stream, where tqdm is not installed."""

    def __init__(self) -> None:
        self._line = ""

    def __call__(self, task: str, done: int, total: int, unit: str, /) -> None:
        share = 100 * done // max(total, 1)
        line = f"{task}: {done} of {total} {unit} ({share} %)"
        if line != self._line:
            sys.stderr.write(f"\r{line:<{len(self._line)}}")
            sys.stderr.flush()
            self._line = line

    def close(self) -> None:
        if self._line:
            sys.stderr.write("\n")
        self._line = ""
