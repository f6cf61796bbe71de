"""Measures the peak memory of `curate run` beside what `--dry-run` promised.

    python3 benches/memory/run.py [RECIPE:ROWS ...]

All of them without an argument: `scores` (five stages on columns of numbers) of 20,000, 200,000,
1 million, 4 million and 12.8 million rows, as many as DataComp's smallest pool has; `concepts`
(score, cut, semantic dedup and concept pruning on embeddings of 64 numbers) of 20,000, 200,000 and 1
million. Needs cargo, 4 GB of temporary disk, and a network for `pip install` into a virtual environment
under target/. The peak is the process's own (`ru_maxrss`), the report included. Each case replaces its
own section of results.json.

The bar, fixed before the first run: no peak above its promise, and `scores` of 12.8 million rows below
2 GiB.
"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report  # noqa: E402  beside this folder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BENCH = TARGET / "bench-memory"
DATA = Path(os.environ.get("CURATE_BENCH_DATA", BENCH / "data"))
RESULTS = HERE / "results.json"
CURATE = Path(os.environ.get("CURATE", TARGET / "release" / "curate"))
THREADS = 2
PER_SHARD, DIM = 200_000, 64
CASES = {
    "scores": [20_000, 200_000, 1_000_000, 4_000_000, 12_800_000],
    "concepts": [20_000, 200_000, 1_000_000],
}
# Fixed before the first run.
BARS = {
    f"{name}_{rows}.peak_over_promised_below": 1.0 for name in CASES for rows in CASES[name]
} | {"scores_12800000.gib_below": 2.0}
RECIPES = {
    "scores": """
[[stage]]
kind = "score"
name = "clip"
column = "clip_l14_similarity_score"
[[stage]]
kind = "score"
name = "beauty"
column = "beauty"
[[stage]]
kind = "rank"
of = [{ score = "clip" }, { score = "beauty" }]
[[stage]]
kind = "fraction"
score = "rank"
fraction = 0.5
[[stage]]
kind = "threshold"
score = "beauty"
at-least = 5.0
""",
    "concepts": """
[[stage]]
kind = "score"
name = "clip"
column = "clip_l14_similarity_score"
[[stage]]
kind = "fraction"
score = "clip"
fraction = 0.8
[[stage]]
kind = "semantic-dedup"
embedding = "img"
clusters = 200
epsilon = 0.1
[[stage]]
kind = "concept-prune"
embedding = "img"
clusters = 100
fraction = 0.5
""",
}


WATCH = """
import resource, subprocess, sys
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
code = subprocess.run(sys.argv[1:], **quiet).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, code)
"""


def make_pool(recipe, rows):
    """Metadata with random ids and scores; with embeddings about 2,000 uneven concepts."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = DATA / f"{recipe}-{rows}"
    if (folder / "made").exists():
        return folder
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    concepts = draw.normal(0, 1, (2_000, DIM)).astype(np.float32)
    for shard, first in enumerate(range(0, rows, PER_SHARD)):
        n = min(PER_SHARD, rows - first)
        digits = draw.integers(0, 256, (n, 16), dtype=np.uint8).tobytes().hex()
        columns = {
            "uid": [digits[32 * i : 32 * i + 32] for i in range(n)],
            "text": [f"a caption of some words {i}" for i in range(first, first + n)],
            "clip_l14_similarity_score": draw.normal(0.22, 0.05, n).astype(np.float32),
            "beauty": draw.normal(5, 1, n),
        }
        pq.write_table(pa.table(columns), folder / "metadata" / f"{shard:05}.parquet")
        if recipe == "concepts":
            of = (draw.random(n) ** 2 * len(concepts)).astype(int)
            vectors = concepts[of] + draw.normal(0, 0.4, (n, DIM)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            np.savez(folder / "metadata" / f"{shard:05}.npz", img=vectors.astype(np.float16))
    (folder / "made").touch()
    return folder


def measure(recipe, rows):
    pool = make_pool(recipe, rows)
    path = BENCH / f"{recipe}-{rows}.toml"
    path.write_text(f'[pool]\npath = "{pool}"\n{RECIPES[recipe]}')
    command = [str(CURATE), "--threads", str(THREADS), "run", str(path)]
    plan = json.loads(subprocess.check_output([*command, "--dry-run", "--json"]))
    out = BENCH / "out"
    # By a small process: the peak of a child begins with the size of who started it.
    watched = [sys.executable, "-S", "-c", WATCH, *command, "--out", str(out), "--overwrite"]
    peak, code = map(int, subprocess.check_output(watched).split())
    if code:
        sys.exit(f"{recipe} of {rows:,} rows failed: {' '.join(command)}")
    peak *= 1024
    ratios = {"peak_over_promised_below": round(peak / plan["memory"], 3),
              "gib_below": round(peak / 2**30, 3)}
    return {"rows": rows, "stages": len(plan["stages"]), "peak": peak, "promised": plan["memory"],
            "bytes_a_row": round(peak / rows), "ratios": ratios}


def main():
    wanted = sys.argv[1:] or [f"{name}:{rows}" for name in CASES for rows in CASES[name]]
    BENCH.mkdir(parents=True, exist_ok=True)
    if "CURATE" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "-p", "curate-cli"], cwd=ROOT, check=True)
    import numpy
    import pyarrow

    versions = {"numpy": numpy.__version__, "pyarrow": pyarrow.__version__}
    for case in wanted:
        recipe, rows = case.split(":")
        report.save(RESULTS, f"{recipe}_{rows}", measure(recipe, int(rows)),
                    "python3 benches/memory/run.py", "bytes", versions, BARS)


def enter():
    """Runs this script again inside an environment that has NumPy and pyarrow."""
    prefix = BENCH / "venv"
    if Path(sys.prefix) == prefix or "CURATE_NO_VENV" in os.environ:
        return
    if not prefix.exists():
        BENCH.mkdir(parents=True, exist_ok=True)
        venv.create(prefix, with_pip=True)
        pip = [str(prefix / "bin" / "pip"), "install", "--quiet", "numpy", "pyarrow"]
        subprocess.run(pip, check=True)
    python = str(prefix / "bin" / "python")
    os.execv(python, [python, *sys.argv])


if __name__ == "__main__":
    enter()
    main()
