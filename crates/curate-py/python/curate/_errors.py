"""What can go wrong. Every text is the one that the program prints."""

from __future__ import annotations

import os
from typing import Any


class CurateError(Exception):
    """Anything that the library refuses."""

    def __reduce__(self) -> Any:
        return (type(self), self.args, self.__dict__)


class InputError(CurateError, ValueError):
    """An argument that a function cannot take.

    Attributes
    ----------
    argument : str
        The argument's name.
    """

    argument: str


class ParamsError(CurateError, ValueError):
    """Parameters out of range: all of them, not only the first.

    Attributes
    ----------
    violations : list of (field, value, allowed)
    """

    violations: list[tuple[str, str, str]]


class FileError(CurateError, OSError):
    """A file or folder that is missing, damaged or cannot be written.

    Attributes
    ----------
    path : pathlib.Path
    kind : str
        NotFound, Truncated, Malformed, Unsupported, Disagree, Occupied, Busy, DiskFull or Os.
    """

    path: os.PathLike[str]
    kind: str


class RecipeError(CurateError, ValueError):
    """A recipe that cannot be carried out.

    Attributes
    ----------
    problems : list of str
        Everything that is wrong with it.
    """

    problems: list[str]


class RunError(CurateError):
    """A run, or a look at one, failed."""


class NotReady(RunError):
    """A task needs what an earlier step has not left yet, or what it left is damaged: carry that step out,
    then try again.

    Attributes
    ----------
    step : str
        The step that has to be done first.
    tasks : int
        How many tasks it has.
    missing : int
        How many of them are not done.
    first : int
        The number of the first of these.
    """

    step: str
    tasks: int
    missing: int
    first: int


class ScalingError(CurateError, ValueError):
    """A table of runs that cannot be read or fitted, or a question that a fit cannot answer."""


class NetworkError(CurateError):
    """A network that cannot be loaded, or that cannot embed."""
