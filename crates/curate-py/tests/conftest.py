"""What several tests use."""

from __future__ import annotations

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
