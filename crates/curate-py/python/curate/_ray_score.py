"""Scores of pairs in a Ray Dataset."""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate._curate import Network, set_threads, threads
from curate._errors import InputError

# What cannot be scored, as `Network.score_pairs` has it.
_NONE = np.float32("nan")


def score(
    dataset: Any,
    network: str | os.PathLike[str],
    *,
    image: str = "image",
    caption: str = "caption",
    out: str = "score",
    batch_size: int = 256,
    num_cpus: float = 1,
    concurrency: int | tuple[int, int] | None = None,
) -> Any:
    """Add the score of each pair to a Ray Dataset: the cosine of image and caption.

    For datasets that Ray holds anyway. A pool on disk is better scored by a recipe, whose stage `score` takes a
    `network`: `curate.ray.run` carries it out without sending images through the object store.

    Parameters
    ----------
    dataset : ray.data.Dataset
        A row has an image (the bytes of a file, its path, a PIL image, or uint8 of shape (height, width, 3))
        and a caption.
    network : path
        A network's folder, which every node has to see under this path; see `curate.Network`.
    image, caption : str
        Columns of the dataset.
    out : str
        The column that is added: float32; NaN where an image does not decode or a caption is missing or
        empty.
    batch_size : int
        Rows that are scored together. Scores do not depend on it.
    num_cpus : float
        Processors of a worker, and the number of threads that it works on.
    concurrency : int or (int, int), optional
        Workers, or the fewest and the most of them; by default from one to as many as the cluster has
        processors for.

    Returns
    -------
    ray.data.Dataset

    Examples
    --------
    scored = curate.ray.score(ray.data.read_parquet("pairs/"), "networks/dfn", image="jpg", caption="txt")
    """
    folder = os.path.abspath(network)
    # What is wrong with the network is told here, not by a worker.
    Network(folder)
    columns = dataset.columns()
    for argument, column in (("image", image), ("caption", caption)):
        if column not in columns:
            raise _refused(argument, f"the dataset has no column `{column}`; it has {', '.join(columns)}")
    if out in columns:
        raise _refused("out", f"the dataset has a column `{out}` already: name another")
    if concurrency is None:
        ray = importlib.import_module("ray")
        concurrency = (1, max(1, int(ray.cluster_resources().get("CPU", 1) / num_cpus)))
    return dataset.map_batches(
        _Scorer,
        fn_constructor_args=(folder, image, caption, out, max(1, int(num_cpus))),
        batch_size=batch_size,
        num_cpus=num_cpus,
        concurrency=concurrency,
    )


def _refused(argument: str, problem: str) -> InputError:
    error = InputError(f"`{argument}`: {problem}")
    error.argument = argument
    return error


class _Scorer:
    """What a worker keeps: the network, read once."""

    def __init__(self, folder: str, image: str, caption: str, out: str, cores: int) -> None:
        if threads() != cores:
            set_threads(cores)
        self._network = Network(folder)
        self._image, self._caption, self._out = image, caption, out

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        images, captions = batch[self._image], batch[self._caption]
        told = [place for place, caption in enumerate(captions) if isinstance(caption, str) and caption.strip()]
        scores = np.full(len(captions), _NONE, np.float32)
        seen, embedded = _embedded(self._network.embed_images, [_picture(images[place]) for place in told])
        rows = [told[place] for place in seen]
        if rows:
            texts = self._network.embed_texts([str(captions[row]) for row in rows])
            scores[rows] = (embedded * texts).sum(axis=1, dtype=np.float32)
        return {**batch, self._out: scores}


def _picture(image: Any) -> Any:
    """An image as `Network.embed_images` takes it; pixels become a PNG, without loss."""
    if not isinstance(image, np.ndarray):
        return image
    pil = importlib.import_module("PIL.Image")
    png = io.BytesIO()
    pil.fromarray(image).convert("RGB").save(png, "PNG")
    return png.getvalue()


def _embedded(embed: Callable[[list[Any]], NDArray[Any]], images: list[Any]) -> tuple[list[int], NDArray[Any]]:
    """The places of the images that decode, and their embeddings. A batch with one that does not is gone
    through image by image."""
    try:
        return list(range(len(images))), embed(images)
    except InputError:
        pass
    seen, embedded = [], []
    for place, image in enumerate(images):
        try:
            embedded.append(embed([image])[0])
            seen.append(place)
        except InputError:
            continue
    return seen, np.array(embedded, np.float32)
