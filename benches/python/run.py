"""Times the Python package: a call beside the Rust call, k-means beside what Python users import.

    python3 benches/python/run.py [PART ...]

Parts: call, k-means, dedup, semhash, laws; all of them without an argument. Each part replaces its own section of
results.json, so that they can be run one by one on a quiet machine. Needs cargo, 4 GB of memory, and a
network for `pip install` into a virtual environment under target/. Sides take turns within a run, on the same
number of threads.

- Rows: 100,000 x 512 in float32, a mixture of 600 components.
- call: `curate.kmeans` on an array in memory beside the same call from Rust on the same rows; the array's
  own memory and the peak of the call above it are there too.
- k-means: Euclidean, 256 clusters, 20 iterations at most, from each side's own random start: inertia is
  computed by one program from the centroids that each returns, so a side may be fast because it stops early.
- dedup: `SemanticDedup` with given clusters of about 2,000 rows, beside the formulation of the published code
  in torch (full matrix, upper triangle, column maximum), written from its description.
- semhash: the first 20,000 pictures of Fashion-MNIST (Debian's dataset-fashion-mnist), duplicates at a cosine
  of .98 among all of them. semhash searches an approximate index (its default), ours compares every pair.
- laws: a power law with a floor, 24 runs, eight starts, and 500 fits to draws of a bootstrap, each side from
  its best fit; scipy's least squares with numeric derivatives.
"""

import gzip
import json
import os
import platform
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
BENCH = TARGET / "bench-python"
RESULTS = HERE / "results.json"
FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
PACKAGES = ["maturin>=1.16,<2", "numpy", "scikit-learn", "faiss-cpu", "superkmeans", "torch", "scipy", "semhash"]
THREADS = 2
N, D, K, ITERATIONS, TURNS = 100_000, 512, 256, 20, 5
# Fixed before the first run.
BARS = {
    "call.share_over_rust_below": 0.02,
    "call.peak_mib_above_array_below": 64.0,
    "k-means.sklearn_over_ours": 1.0,
    "k-means.faiss_over_ours": 1.0,
    "k-means.superkmeans_over_ours": 1.0,
    "dedup.torch_over_ours": 1.0,
    "semhash.semhash_over_ours": 1.0,
    "laws.scipy_over_ours": 1.0,
}


def main():
    parts = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    if "--inside" not in sys.argv:
        return outside(parts)
    known = {"call": call, "k-means": k_means, "dedup": dedup, "semhash": semhash, "laws": laws}
    unit = "seconds, median of turns; ratios are theirs over ours unless named otherwise"
    for part in parts or known:
        section = known[part]()
        report.save(RESULTS, part, section, "python3 benches/python/run.py", unit, versions(), BARS)


def outside(parts):
    python = BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    maturin = [python.with_name("maturin"), "develop", "--release", "--quiet"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    env |= {"VIRTUAL_ENV": str(BENCH / "venv"), "CARGO_TARGET_DIR": str(TARGET)}
    subprocess.run(maturin, check=True, env=env, cwd=ROOT / "crates/curate-py")
    env |= {"OMP_NUM_THREADS": str(THREADS), "RAYON_NUM_THREADS": str(THREADS),
            "CALL": report.driver("curate-cluster", "call")}
    subprocess.run([python, __file__, "--inside", *parts], check=True, env=env)


def versions():
    from importlib.metadata import version

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    packages = {name: version(name) for name in PACKAGES[1:]}
    return {"python": platform.python_version(), **packages, "rustc": rustc}


def rows():
    import numpy as np

    file = BENCH / "rows.npy"
    if not file.exists():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((600, D), dtype=np.float32)[rng.integers(600, size=N)]
        x += 1.5 * rng.standard_normal((N, D), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.save(file, x)
    return file


def memory(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    return 0.0


def seconds_of(work):
    clock = time.perf_counter()
    found = work()
    return time.perf_counter() - clock, found


def ours(x, iterations=None):
    import curate

    return curate.kmeans(x, K, metric="euclidean", iterations=iterations or ITERATIONS, tolerance=0,
                         empty_clusters="split", norm="any")


def call():
    import numpy as np

    x = np.load(rows())
    ours(x[:5000], 1)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    ours(x)
    peak = memory("VmHWM") - before
    rust = subprocess.Popen([os.environ["CALL"], rows(), str(K), str(ITERATIONS)],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    times = {"python": [], "rust": []}
    for _ in range(TURNS):
        rust.stdin.write("\n")
        rust.stdin.flush()
        told = json.loads(rust.stdout.readline())
        times["rust"].append(told["seconds"])
        seconds, found = seconds_of(lambda: ours(x))
        times["python"].append(seconds)
        assert found.inertia == told["inertia"], "the same bytes"
    rust.stdin.close()
    medians = {side: statistics.median(all_turns) for side, all_turns in times.items()}
    return {"seconds": times, "array_mib": x.nbytes / 2**20,
            "ratios": {"share_over_rust_below": medians["python"] / medians["rust"] - 1,
                       "peak_mib_above_array_below": peak}}


def inertia(x, centroids):
    import numpy as np

    c = np.asarray(centroids, dtype=np.float32)
    half = (c.astype(np.float64) ** 2).sum(1) / 2
    total = 0.0
    for at in range(0, len(x), 8192):
        part = x[at : at + 8192]
        nearest = np.argmax(part @ c.T - half, axis=1)
        total += float(((part.astype(np.float64) - c[nearest]) ** 2).sum())
    return total


def k_means():
    import faiss
    import numpy as np
    import sklearn.cluster
    import superkmeans

    x = np.load(rows())

    def with_faiss():
        model = faiss.Kmeans(D, K, niter=ITERATIONS, max_points_per_centroid=N, seed=0)
        model.train(x)
        return model.centroids

    def with_sklearn():
        model = sklearn.cluster.KMeans(K, init="random", n_init=1, max_iter=ITERATIONS, tol=0, random_state=0)
        return model.fit(x).cluster_centers_

    def with_superkmeans():
        model = superkmeans.SuperKMeans(n_clusters=K, dimensionality=D, iters=ITERATIONS, sampling_fraction=1.0,
                                        max_points_per_cluster=N, n_threads=THREADS, tol=0, early_termination=False)
        return model.train(x)

    sides = {"ours": lambda: ours(x).centroids, "faiss": with_faiss, "sklearn": with_sklearn,
             "superkmeans": with_superkmeans}
    times, quality = {side: [] for side in sides}, {}
    for _ in range(TURNS):
        for side, work in sides.items():
            seconds, centroids = seconds_of(work)
            times[side].append(seconds)
            quality[side] = inertia(x, centroids)
    median = {side: statistics.median(all_turns) for side, all_turns in times.items()}
    return {"seconds": times, "inertia": quality,
            "ratios": {f"{side}_over_ours": median[side] / median["ours"] for side in sides if side != "ours"}}


def dedup():
    import curate
    import numpy as np
    import torch

    torch.set_num_threads(THREADS)
    x = np.load(rows())
    clusters = curate.kmeans(x, N // 2000, iterations=5, seed=0)
    method = curate.SemanticDedup(epsilon=0.05)

    def with_torch():
        largest = np.zeros(N, np.float32)
        for cluster in range(clusters.k):
            members = np.flatnonzero(clusters.labels == cluster)
            members = members[np.argsort(-clusters.distances[members], kind="stable")]
            part = torch.from_numpy(x[members])
            matrix = torch.triu(part @ part.T, diagonal=1)
            largest[members] = matrix.max(dim=0).values.clamp(min=0).numpy()
        return np.flatnonzero(largest <= np.float32(1 - 0.05))

    times = {"ours": [], "torch": []}
    for _ in range(TURNS):
        seconds, result = seconds_of(lambda: method.run(x, clusters=clusters))
        times["ours"].append(seconds)
        seconds, kept = seconds_of(with_torch)
        times["torch"].append(seconds)
    differ = len(np.setxor1d(result.selected, kept))
    median = {side: statistics.median(all_turns) for side, all_turns in times.items()}
    return {"seconds": times, "rows_kept": len(result), "rows_that_differ": differ,
            "ratios": {"torch_over_ours": median["torch"] / median["ours"]}}


def fashion(count):
    import numpy as np

    file = FASHION / "train-images-idx3-ubyte.gz"
    if not file.exists():
        sys.exit(f"no {file}: install Debian's dataset-fashion-mnist, or say with FASHION_MNIST where its files are")
    x = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 784)[:count]
    x = x.astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def turns(sides):
    times, found = {side: [] for side in sides}, {}
    for _ in range(TURNS):
        for side, work in sides.items():
            seconds, found[side] = seconds_of(work)
            times[side].append(seconds)
    median = {side: statistics.median(all_turns) for side, all_turns in times.items()}
    return times, median, found


def semhash():
    import curate
    from semhash import SemHash

    x = fashion(20_000)
    records = [str(row) for row in range(len(x))]
    method = curate.SemanticDedup(epsilon=0.02, mode="greedy", clusters=1)

    def with_semhash():
        index = SemHash.from_embeddings(x, records, model=None)
        return len(index.self_deduplicate(threshold=0.98).selected)

    times, median, found = turns({"ours": lambda: len(method.run(x)), "semhash": with_semhash})
    return {"seconds": times, "rows_kept": found, "ratios": {"semhash_over_ours": median["semhash"] / median["ours"]}}


def laws():
    import curate
    import numpy as np
    from scipy.optimize import least_squares

    samples = np.geomspace(1e6, 1e9, 24)
    rng = np.random.default_rng(0)
    error = 0.2 + 12 * samples**-0.3 + 0.002 * rng.standard_normal(24)

    def residuals(p, error):
        return p[0] + np.exp(p[1] + p[2] * np.log(samples)) - error

    def fit(start, error):
        return least_squares(residuals, start, args=(error,), bounds=([0, -np.inf, -np.inf], np.inf), x_scale="jac")

    def with_scipy():
        draws = np.random.default_rng(1)
        best = min((fit([0.1, a, c], error) for a in (1, 2, 3, 4) for c in (-0.2, -0.4)), key=lambda f: f.cost)
        fitted = error + residuals(best.x, error)
        left = (error - fitted) * (24 / 21) ** 0.5
        spread = [fit(best.x, fitted + draws.choice(left, 24)).x for _ in range(500)]
        return best.x[0], float(np.std([p[0] for p in spread]))

    runs = {"pool": ["a"] * 24, "samples": samples.tolist(), "error": error.tolist()}
    with_curate = lambda: curate.fit_law(runs, "power", draws=500, starts=8)  # noqa: E731
    times, median, found = turns({"ours": with_curate, "scipy": with_scipy})
    table = found["ours"].parameters()
    floors = dict(zip(table.to_dict()["parameter"], table.to_dict()["value"]))
    assert abs(floors["E"] - found["scipy"][0]) < 1e-3, "the same law"
    return {"seconds": times, "floor": {"ours": floors["E"], "scipy": found["scipy"][0]},
            "ratios": {"scipy_over_ours": median["scipy"] / median["ours"]}}


if __name__ == "__main__":
    main()
