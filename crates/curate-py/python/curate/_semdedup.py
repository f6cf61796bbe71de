"""Semantic deduplication by the configuration of the published SemDeDup code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from curate._curate import Deduplicated, SemanticDedup, kmeans
from curate._errors import InputError

_TAKEN = {
    "embs_memory_loc", "emb_memory_loc", "dataset_size", "emd_size", "emb_size", "num_clusters",
    "ncentroids", "niter", "seed", "Kmeans_with_cos_dist", "eps_list", "which_to_keep", "save_loc",
}  # fmt: skip
# Where intermediate files lie, how jobs are split: here there are none.
_WITHOUT_EFFECT = {
    "paths_memory_loc", "path_str_dtype", "path_str_type", "save_folder", "sorted_clusters_path",
    "sorted_clusters_file_loc", "sim_metric", "keep_hard", "largest_cluster_size_to_process",
    "eps_points", "device",
}  # fmt: skip


def semdedup(
    config: Mapping[str, Any] | None = None,
    *,
    embeddings: Any = None,
    ids: Any = None,
    norm: str = "any",
    progress: Any = None,
    **settings: Any,
) -> dict[float, Deduplicated]:
    """Deduplicates with the settings of the published SemDeDup code.

    Parameters
    ----------
    config : mapping, optional
        The keys of its two YAML files: `embs_memory_loc` with `dataset_size` and `emd_size` (a float32
        memmap, which is read where it lies), `num_clusters` or `ncentroids`, `niter`, `seed`,
        `which_to_keep` ("hard", "easy" or "random"), `eps_list`, `save_loc`. Keys that say where
        intermediate files lie have no effect; unknown keys are refused.
    embeddings : vectors of shape (n, d), optional
        Instead of `embs_memory_loc`.
    ids : ids of the rows, optional
    norm : "any" (default) or "require-unit"
    progress : bool or callable, optional
    **settings
        The same keys as arguments, which win over `config`.

    Returns
    -------
    dict of float to Deduplicated
        A result for each epsilon of `eps_list`, all of one search. With `save_loc`, the rows that stay are
        written there as `kept_eps_<epsilon>.npy`, int64.

    As faiss does for the published code, k-means trains on a random 256 rows a cluster.
    """
    told = {**(config or {}), **settings}
    unknown = sorted(set(told) - _TAKEN - _WITHOUT_EFFECT)
    if unknown:
        raise _refused(unknown[0], f"there is no such key: give some of {', '.join(sorted(_TAKEN))}")
    if not told.get("Kmeans_with_cos_dist", True) or told.get("sim_metric", "cosine") != "cosine":
        raise _refused("Kmeans_with_cos_dist", "only cosine distances are supported")
    vectors = _vectors(told) if embeddings is None else embeddings
    epsilons = [float(epsilon) for epsilon in told.get("eps_list", [0.05])]
    if not epsilons:
        raise _refused("eps_list", "give at least one epsilon")
    seed = int(told.get("seed", 1234))
    clusters = kmeans(
        vectors,
        int(told.get("num_clusters", told.get("ncentroids", 1000))),
        ids=ids,
        iterations=int(told.get("niter", 100)),
        tolerance=0,
        train_rows_per_cluster=256,
        empty_clusters="split",
        seed=seed,
        norm=norm,
        progress=progress,
    )
    method = SemanticDedup(
        epsilon=epsilons[0], preference=told.get("which_to_keep", "hard"), seed=seed
    )
    first = method.run(vectors, ids=ids, clusters=clusters, norm=norm, progress=progress)
    results = {epsilon: first.rethreshold(epsilon) for epsilon in epsilons}
    if "save_loc" in told:
        folder = Path(told["save_loc"])
        folder.mkdir(parents=True, exist_ok=True)
        for epsilon, result in results.items():
            np.save(folder / f"kept_eps_{epsilon}.npy", result.selected)
    return results


def _vectors(told: Mapping[str, Any]) -> Any:
    path = told.get("embs_memory_loc", told.get("emb_memory_loc"))
    rows, dim = told.get("dataset_size"), told.get("emd_size", told.get("emb_size"))
    if path is None or rows is None or dim is None:
        raise _refused(
            "embs_memory_loc", "give it with dataset_size and emd_size, or give embeddings"
        )
    try:
        return np.memmap(path, dtype=np.float32, mode="r", shape=(int(rows), int(dim)))
    except (OSError, ValueError) as error:
        raise _refused("embs_memory_loc", f"{path}: {error}") from error


def _refused(argument: str, problem: str) -> InputError:
    error = InputError(f"`{argument}`: {problem}")
    error.argument = argument
    return error
