"""Reading the selected samples with webdataset or Hugging Face's datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from curate._curate import as_ids, key_ids
from curate._errors import InputError


class Chosen:
    """Whether a sample is in a selection: a filter for `webdataset`, `datasets` and plain loops.

    Parameters
    ----------
    ids : ids in any form
        For example `result.selected_ids`, `run.ids` or `curate.read_subset(path)`.
    id_of : callable, optional
        The id of a sample (a dict): 32 hexadecimal digits, a whole number, or a key. Unless given, it is the
        `uid` of the sample or of its record (`json`), and else the id of its key (`__key__`).

    Examples
    --------
    >>> import curate
    >>> chosen = curate.Chosen(["ff"])
    >>> chosen({"uid": "00ff"}), chosen({"uid": "1"})
    (True, False)

    With webdataset: `webdataset.WebDataset(shards).select(curate.Chosen(run.ids))`. With datasets:
    `dataset.filter(curate.Chosen(run.ids))`.
    """

    def __init__(self, ids: Any, id_of: Callable[[Any], Any] | None = None) -> None:
        self._ids = {_number(pair) for pair in as_ids(ids)}
        self._id_of = id_of or _id_of

    def __call__(self, sample: Any) -> bool:
        """Whether the sample stays."""
        return _as_number(self._id_of(sample)) in self._ids

    def filter(self, samples: Iterable[Any]) -> Iterator[Any]:
        """The samples that stay, in their order."""
        return (sample for sample in samples if self(sample))

    def __len__(self) -> int:
        return len(self._ids)


def _number(pair: Any) -> int:
    return int(pair["f0"]) << 64 | int(pair["f1"])


def _as_number(sample_id: Any) -> int:
    if isinstance(sample_id, str):
        try:
            return int(sample_id, 16) if len(sample_id) <= 32 else _of_key(sample_id)
        except ValueError:
            return _of_key(sample_id)
    return int(sample_id)


def _of_key(key: str) -> int:
    return _number(key_ids([key])[0])


def _id_of(sample: Any) -> Any:
    if "uid" in sample:
        return sample["uid"]
    record = sample.get("json")
    if isinstance(record, (bytes, str)):
        import json

        record = json.loads(record)
    if isinstance(record, dict) and "uid" in record:
        return record["uid"]
    if "__key__" in sample:
        return _of_key(sample["__key__"])
    error = InputError(f"`sample`: it has no uid, no json with one, and no __key__: {list(sample)}")
    error.argument = "sample"
    raise error
