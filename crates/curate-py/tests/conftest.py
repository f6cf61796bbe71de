"""What several tests use."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def program():
    """Runs the program `curate`, whose results have to be the package's."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("CURATE_PROGRAM", target / "debug" / "curate"))
    if not path.exists():
        pytest.skip(f"{path} is not built: cargo build -p curate-cli, or name it in CURATE_PROGRAM")

    def run(*args, fails=False):
        done = subprocess.run(
            [path, "--quiet", *map(str, args)], capture_output=True, text=True, timeout=300
        )
        assert (done.returncode != 0) == fails, done.stderr
        return done.stderr if fails else done.stdout

    return run


def unit(rows, dim, seed=0, groups=None):
    """Vectors of length 1; with `groups`, near copies of so many directions."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(rows, dim))
    if groups is not None:
        centers = random.normal(size=(groups, dim))
        vectors = centers[np.arange(rows) % groups] + 0.1 * vectors
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def write_pairs(folder, rows, dim=32, seed=0):
    """A pool of pairs in two shards: `img` in groups of near copies, `txt` near it, a row that is no vector."""
    folder.mkdir(parents=True)
    img = unit(rows, dim, seed, groups=rows // 3)
    txt = img + 0.1 * unit(rows, dim, seed + 1)
    txt /= np.linalg.norm(txt, axis=1, keepdims=True)
    img[rows // 2] = np.nan
    for shard, some in enumerate([slice(None, rows // 3), slice(rows // 3, None)]):
        ids = range(rows)[some]
        lines = "".join(json.dumps({"uid": f"{7919 * i:032x}", "text": f"pair {i}"}) + "\n" for i in ids)
        (folder / f"{shard:03}.jsonl").write_text(lines)
        np.savez(folder / f"{shard:03}.npz", img=img[some], txt=txt[some].astype(np.float32))
    return folder


def in_clusters(pool, clusters=12, iterations=8):
    """A recipe with every kind of step: rows one by one, k-means in passes, searches, quotas."""
    k_means = {"iterations": iterations, "tolerance": 0.0}
    return {
        "seed": 5,
        "pool": {"path": str(pool)},
        "output": {"images": False},
        "stage": [
            {"kind": "score", "name": "agreement", "cosine": ["img", "txt"]},
            {"kind": "fraction", "score": "agreement", "fraction": 0.9},
            {"kind": "semantic-dedup", "embedding": "img", "epsilon": 0.02, "clusters": clusters, "k-means": k_means},
            {"kind": "concept-prune", "embedding": "img", "fraction": 0.6, "clusters": clusters, "k-means": k_means},
        ],
    }


def artefacts(run):
    """The bytes of what a run is there for."""
    return {name: (Path(run) / name).read_bytes() for name in ("subset.npy", "evidence.parquet")}
