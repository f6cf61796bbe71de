"""Times k-means over Ray beside one process on as many threads, on the same rows.

    python3 benches/tasks/on_ray.py [--rows N] [--dim N] [--clusters N] [--workers N] [--tasks N] [--turns N]

A recipe with one stage, k-means (20 iterations, all of which are done): `curate.run` on so many threads,
and `curate.ray.run` with so many workers of one thread each, from the recipe to the finished run folder.
Sides take turns; workers are started before the first. The files have to be the same to the byte.

- Rows: 200,000 x 256 in float32, a mixture of 600 components; 256 clusters.
- Workers: 4, and as many tasks a step.

ray.json is written only where the sizes are these, and the machine is quiet (load below 0.5) when it starts.
Needs cargo, 4 GB of memory, and a network for `pip install` into a virtual environment under target/.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report  # noqa: E402  beside this folder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BENCH = TARGET / "bench-tasks"
RESULTS = HERE / "ray.json"
SIZES = {"rows": 200_000, "dim": 256, "clusters": 256, "workers": 4, "tasks": 4, "turns": 3}
ITERATIONS = 20
QUIET = 0.5
# Fixed before the first run.
BARS = {"k-means.ray_over_one_process_below": 1.25}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--load", type=float, default=os.getloadavg()[0], help=argparse.SUPPRESS)
    for name, size in SIZES.items():
        parser.add_argument(f"--{name}", type=int, default=size)
    asked = parser.parse_args()
    if not asked.inside:
        return outside(asked.load)
    sizes = {name: getattr(asked, name) for name in SIZES}
    section = {**k_means(**sizes), "sizes": sizes, "load_before": asked.load}
    if sizes == SIZES and asked.load < QUIET:
        report.save(RESULTS, "k-means", section, "python3 benches/tasks/on_ray.py",
                    "seconds, each turn; ratios are of medians", versions(), BARS)
    else:
        print(section, "(not written: other sizes, or the machine is not quiet)")


def outside(load):
    python = BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "maturin>=1.16,<2", "numpy", "ray"], check=True)
    env = {**os.environ, "VIRTUAL_ENV": str(BENCH / "venv"), "CARGO_TARGET_DIR": str(TARGET)}
    maturin = [python.with_name("maturin"), "develop", "--release", "--quiet"]
    subprocess.run(maturin, check=True, env=env, cwd=ROOT / "crates/curate-py")
    # The build itself makes the machine busy for a while.
    while os.getloadavg()[0] >= QUIET > load:
        time.sleep(5)
    words = [python, __file__, "--inside", "--load", str(load), *sys.argv[1:]]
    subprocess.run(words, check=True, env=env)


def k_means(rows, dim, clusters, workers, tasks, turns):
    import ray

    import curate

    folder = BENCH / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    ray.init(num_cpus=workers, include_dashboard=False, logging_level="warning")
    curate.set_threads(workers)
    curate.ray.run(recipe(made(2_000, dim), 8), out=folder / "warm", tasks=4 * workers)
    asked = recipe(made(rows, dim), clusters)
    seconds = {"one_process": [], "ray": []}
    for turn in range(turns):
        one, several = folder / f"one-{turn}", folder / f"ray-{turn}"
        clock = time.perf_counter()
        curate.run(asked, one)
        seconds["one_process"].append(time.perf_counter() - clock)
        clock = time.perf_counter()
        run = curate.ray.run(asked, out=several, tasks=tasks)
        seconds["ray"].append(time.perf_counter() - clock)
        for name in ("subset.npy", "evidence.parquet", "stages/01-cluster/centroids.npy"):
            assert (one / name).read_bytes() == (Path(run.folder) / name).read_bytes(), name
    ray.shutdown()
    medians = {side: statistics.median(each) for side, each in seconds.items()}
    return {"seconds": seconds, "ratios": {"ray_over_one_process_below": medians["ray"] / medians["one_process"]}}


def recipe(pool, clusters):
    settings = {"iterations": ITERATIONS, "tolerance": 0}
    stage = {"kind": "cluster", "embedding": "embedding", "clusters": clusters, "k-means": settings}
    return {"pool": {"path": str(pool)}, "output": {"report": False, "formats": ["npy"]}, "stage": [stage]}


def made(rows, dim):
    """A file of rows: a mixture of 600 components."""
    import numpy as np

    file = BENCH / f"{rows}-{dim}.npy"
    if not file.exists():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((600, dim), dtype=np.float32)[rng.integers(600, size=rows)]
        x += 1.5 * rng.standard_normal((rows, dim), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.save(file, x)
    return file


def versions():
    from importlib.metadata import version

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    packages = {name: version(name) for name in ("numpy", "ray")}
    return {"python": platform.python_version(), **packages, "rustc": rustc}


if __name__ == "__main__":
    main()
