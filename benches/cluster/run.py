"""Times k-means, assignment, semantic dedup and the whole chain beside their peers.

    python3 benches/cluster/run.py [PART ...]

Parts: assign, k-means-1024, k-means-4096, k-means-1024-overlap, dedup, linfa,
scale; all of them without an argument. Each part
replaces its own section of results.json, unless the machine is not quiet: a part waits five minutes for the load to
fall to .5, and with more at its start it prints what it measured and keeps nothing. MEASURE and LINFA may name programs
that are built already.
Needs cargo, 8 GB of memory, 5 GB of temporary disk, and a network for `pip install` into a virtual
environment under target/. Sides take turns within a run, on the same number of threads.

- Rows: 100,000 x 512, unit length, a mixture of 600 components. Every side starts from the same
  random rows and runs at most 20 iterations without a tolerance; inertia is computed by one program
  from the centroids that each returns. Ours stops when no row moves any more and faiss does not, so
  the ratio of seconds an iteration is there too. In "overlap" the components are hard to tell apart,
  rows keep moving, and nobody stops early.
- assign: one pass over all rows, beside numpy's matrix product of the same shapes, block by block
  into one buffer. Ours finds the best centroid in the same time; numpy's product finds none.
- dedup: 50 clusters of 2,000 rows, beside the formulation of the published code in torch (full
  matrix, upper triangle, column maximum), written from its description. Ours reads clusters from
  disk; torch's matrix comes from the same file, cluster by cluster.
- linfa: 20,000 of the rows, 128 clusters, Euclidean, 10 iterations at most, both in one process; linfa
  ends one iteration's work later, because it measures inertia at the end.
- scale: rows in float16 on disk, clustered (all rows, fixed iterations), deduplicated and pruned
  with 2,000 clusters.

`f32` repeats ours without 8-bit integers, `avx2` as on a processor without AVX-512.
"""

import json
import os
import platform
import resource
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
BENCH = TARGET / "bench-cluster"
DATA = Path(os.environ.get("CURATE_BENCH_DATA", BENCH / "data"))
RESULTS = HERE / "results.json"
PACKAGES = ["numpy", "faiss-cpu", "scikit-learn", "torch"]
THREADS = 2
N, D, COMPONENTS, ITERATIONS = 100_000, 512, 600, 20
KINDS = {"ours": {}, "ours_f32": {"CURATE_INTEGERS": "off"}, "ours_avx2": {"CURATE_INSTRUCTIONS": "avx2"}}
# Fixed before the first run.
BARS = {
    "k-means-1024.faiss_over_ours": 1.5,
    "k-means-4096.faiss_over_ours": 1.5,
    "k-means-1024-overlap.faiss_over_ours": 1.5,
    "assign.ours_share_of_sgemm": 0.9,
    "dedup.torch_over_ours": 5.0,
    "dedup.torch_memory_over_ours": 10.0,
    "scale.peak_mib_below": 2048.0,
}


def main():
    inside = "--inside" in sys.argv
    parts = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    if not inside:
        python = BENCH / "venv" / "bin" / "python"
        if not python.exists():
            venv.create(BENCH / "venv", with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        # A core type set for old libraries would slow the peers down.
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        env |= {"OMP_NUM_THREADS": str(THREADS)}
        if "MEASURE" not in env:
            env["MEASURE"] = report.driver("curate-dedup", "measure")
        if "LINFA" not in env:
            env["LINFA"] = report.driver("curate-cluster", "linfa", "--features", "linfa")
        subprocess.run([python, __file__, "--inside", *parts], check=True, env=env)
        return
    if parts[:1] == ["torch-dedup"]:
        return torch_dedup(Path(parts[1]), int(parts[2]))
    DATA.mkdir(parents=True, exist_ok=True)
    all_parts = {
        "assign": assign,
        "k-means-1024": lambda: k_means(1024),
        "k-means-4096": lambda: k_means(4096),
        "k-means-1024-overlap": lambda: k_means(1024, noise=6.0, turns=1),
        "dedup": dedup,
        "linfa": linfa,
        "scale": scale,
    }
    for part in parts or all_parts:
        load = report.wait_until_quiet()
        section = {"load_before": load, **all_parts[part]()}
        if load <= report.QUIET:
            save(part, section)
        else:
            print(part, json.dumps(section, indent=2))
            print(f"not kept: the load was {load:.1f} when it began, and may be {report.QUIET} at most", flush=True)


def save(part, section):
    unit = "seconds, median of turns; ratios are theirs over ours unless named otherwise"
    report.save(RESULTS, part, section, "python3 benches/cluster/run.py", unit, versions(), BARS)


def versions():
    import faiss
    import numpy
    import sklearn
    import torch

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    return {"python": platform.python_version(), "numpy": numpy.__version__, "faiss": faiss.__version__,
            "scikit-learn": sklearn.__version__, "torch": torch.__version__, "rustc": rustc}


def measure(kind, *words):
    env = {**os.environ, **KINDS[kind], "RAYON_NUM_THREADS": str(THREADS)}
    out = subprocess.run([os.environ["MEASURE"], *map(str, words)], env=env, check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def rows(noise=1.5):
    """100,000 unit rows of a mixture of 600 components."""
    import numpy as np

    file = DATA / f"rows-{noise}.npy"
    if not file.exists():
        rng = np.random.default_rng(0)
        centres = rng.standard_normal((COMPONENTS, D), dtype=np.float32)
        x = centres[rng.integers(COMPONENTS, size=N)]
        x += noise * rng.standard_normal((N, D), dtype=np.float32)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.save(file, x)
    return file


def start(k, noise=1.5):
    import numpy as np

    file = DATA / f"start-{k}-{noise}.npy"
    if not file.exists():
        x = np.load(rows(noise), mmap_mode="r")
        np.save(file, x[np.random.default_rng(k).choice(N, k, replace=False)])
    return file


def inertia(x, centroids):
    """Sum of 1 - the largest cosine, with the centroids scaled to unit length."""
    import numpy as np

    c = centroids / np.linalg.norm(centroids, axis=1, keepdims=True)
    return float(sum((1 - (x[i:i + 8192] @ c.T).max(1).astype(np.float64)).sum() for i in range(0, N, 8192)))


def timed(work):
    begin = time.perf_counter()
    answer = work()
    return time.perf_counter() - begin, answer


def sgemm(x, c, out):
    import numpy as np

    for i in range(0, len(x), len(out)):
        block = x[i:i + len(out)]
        np.matmul(block, c.T, out=out[:len(block)])


def assign():
    import faiss
    import numpy as np

    faiss.omp_set_num_threads(THREADS)
    k, turns = 1024, 5
    x, c = np.load(rows()), np.load(start(k))
    out = np.empty((8192, k), np.float32)
    index = faiss.IndexFlatIP(D)
    index.add(c)
    seconds = {name: [] for name in ["numpy_sgemm", "faiss_search", *KINDS]}
    sgemm(x, c, out)
    for _ in range(turns):
        seconds["numpy_sgemm"].append(timed(lambda: sgemm(x, c, out))[0])
        seconds["faiss_search"].append(timed(lambda: index.search(x, 1))[0])
        for kind in KINDS:
            seconds[kind].append(min(measure(kind, "assign", rows(), start(k), 2)["seconds"]))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "case": {"rows": N, "dim": D, "clusters": k, "threads": THREADS},
        "seconds": median,
        "gflops": {name: 2e-9 * N * D * k / value for name, value in median.items()},
        "ratios": {
            "ours_share_of_sgemm": median["numpy_sgemm"] / median["ours"],
            "ours_f32_share_of_sgemm": median["numpy_sgemm"] / median["ours_f32"],
            "ours_avx2_share_of_sgemm": median["numpy_sgemm"] / median["ours_avx2"],
            "faiss_over_ours": median["faiss_search"] / median["ours"],
        },
    }


def k_means(k, noise=1.5, turns=None):
    import faiss
    import numpy as np
    from sklearn.cluster import KMeans

    faiss.omp_set_num_threads(THREADS)
    x, first = np.load(rows(noise)), np.load(start(k, noise))
    centroids, seconds, notes = {}, {name: [] for name in ["faiss", *KINDS, "ours_euclidean"]}, {}

    def with_faiss():
        kmeans = faiss.Kmeans(D, k, niter=ITERATIONS, spherical=True, max_points_per_centroid=10**9, seed=1)
        kmeans.train(x, init_centroids=first)
        kmeans.index.search(x, 1)
        return kmeans.centroids

    for turn in range(turns or (1 if k > 2000 else 3)):
        taken, centroids["faiss"] = timed(with_faiss)
        seconds["faiss"].append(taken)
        for kind in KINDS:
            if turn > 0 and kind == "ours_avx2":
                continue
            out = DATA / f"{kind}.npy"
            found = measure(kind, "k-means", rows(noise), start(k, noise), ITERATIONS, "spherical", out)
            seconds[kind].append(found["seconds"])
            centroids[kind], notes[kind] = np.load(out), found
    out = DATA / "euclidean.npy"
    seconds["ours_euclidean"] = [measure("ours", "k-means", rows(noise), start(k, noise), ITERATIONS, "euclidean", out)["seconds"]]
    centroids["ours_euclidean"] = np.load(out)
    if k > 2000 or turns:
        return k_means_section(x, k, seconds, centroids, notes)
    lloyd = KMeans(k, init=first, n_init=1, max_iter=ITERATIONS, tol=0.0, algorithm="lloyd")
    taken, fitted = timed(lambda: lloyd.fit(x))
    seconds["sklearn"], centroids["sklearn"] = [taken], fitted.cluster_centers_
    return k_means_section(x, k, seconds, centroids, notes)


def k_means_section(x, k, seconds, centroids, notes):
    import numpy as np

    same = all(np.array_equal(centroids["ours"], centroids[kind]) for kind in KINDS)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    found = {name: inertia(x, c) for name, c in centroids.items()}
    ratios = {
        "faiss_over_ours": median["faiss"] / median["ours"],
        "faiss_over_ours_f32": median["faiss"] / median["ours_f32"],
        "faiss_over_ours_avx2": median["faiss"] / median["ours_avx2"],
        "faiss_over_ours_an_iteration": median["faiss"] / ITERATIONS / median["ours"] * notes["ours"]["iterations"],
        "faiss_over_ours_f32_an_iteration": median["faiss"] / ITERATIONS / median["ours_f32"] * notes["ours"]["iterations"],
        "faiss_over_ours_avx2_an_iteration": median["faiss"] / ITERATIONS / median["ours_avx2"] * notes["ours"]["iterations"],
        "inertia_ours_over_faiss": found["ours"] / found["faiss"],
    }
    if "sklearn" in median:
        ratios["sklearn_over_ours_euclidean"] = median["sklearn"] / median["ours_euclidean"]
    return {
        "case": {"rows": N, "dim": D, "clusters": k, "iterations": ITERATIONS, "threads": THREADS},
        "seconds": median,
        "turns": len(seconds["faiss"]),
        "inertia": found,
        "ours_notes": {name: {key: note[key] for key in ("iterations", "reseeded")} for name, note in notes.items()},
        "same_bytes_on_every_instruction_set": same,
        "ratios": ratios,
    }


def torch_dedup(file, members):
    """The published rule in torch, cluster by cluster; runs in a process of its own."""
    import numpy as np
    import torch

    torch.set_num_threads(THREADS)
    x = np.load(file, mmap_mode="r")
    largest = []
    warm = torch.ones(64, 64)
    (warm @ warm).max()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = time.perf_counter()
    for first in range(0, len(x), members):
        cluster = torch.from_numpy(np.array(x[first:first + members]))
        similarity = cluster @ cluster.T
        similarity.fill_diagonal_(0.0)
        upper = torch.triu(similarity, diagonal=1)
        largest.append(torch.max(upper, dim=0)[0])
    seconds = time.perf_counter() - begin
    largest = torch.cat(largest)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({
        "seconds": seconds,
        "kept": int((largest <= 1 - 0.1).sum()),
        "sum": float(largest.double().sum()),
        "working_mib": peak - before,
        "peak_mib": peak,
    }))


def dedup():
    members = 2_000
    found = {name: [] for name in ["torch", *KINDS]}
    rows()
    for _ in range(5):
        command = [sys.executable, __file__, "--inside", "torch-dedup", str(rows()), str(members)]
        out = subprocess.run(command, check=True, capture_output=True, text=True)
        found["torch"].append(json.loads(out.stdout))
        for kind in KINDS:
            found[kind].append(measure(kind, "dedup", rows(), members))
    median = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
              for name, runs in found.items()}
    ours, torch = median["ours"], median["torch"]
    return {
        "case": {"clusters": N // members, "rows_a_cluster": members, "dim": D, "threads": THREADS},
        "median": median,
        "ratios": {
            "torch_over_ours": torch["seconds"] / ours["seconds"],
            "torch_over_ours_f32": torch["seconds"] / median["ours_f32"]["seconds"],
            "torch_over_ours_avx2": torch["seconds"] / median["ours_avx2"]["seconds"],
            "torch_memory_over_ours": torch["peak_mib"] / ours["peak_mib"],
            "torch_working_memory_over_ours": torch["working_mib"] / ours["working_mib"],
        },
    }


def linfa():
    n, k, iterations = 20_000, 128, 10
    runs = []
    for _ in range(3):
        command = [os.environ["LINFA"], rows(), str(n), str(k), str(iterations)]
        env = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
        out = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
        runs.append(json.loads(out.stdout))
    median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
    return {
        "case": {"rows": n, "dim": D, "clusters": k, "iterations": iterations, "threads": THREADS},
        "median": median,
        "ratios": {
            "linfa_over_ours": median["linfa_seconds"] / median["ours_seconds"],
            "inertia_ours_over_linfa": median["ours_inertia"] / median["linfa_inertia"],
        },
    }


def scale():
    import numpy as np

    clusters, iterations = 2_000, 10
    curve = []
    for n in (200_000, 500_000, 1_000_000, 2_000_000):
        file = DATA / "scale.npy"
        mixture_on_disk(np, file, n, clusters)
        curve.append(measure("ours", "scale", file, clusters, iterations))
        print(json.dumps(curve[-1]), flush=True)
        file.unlink()
    return {
        "case": {"dim": D, "clusters": clusters, "iterations": iterations, "threads": THREADS, "storage": "float16"},
        "curve": curve,
        "ratios": {
            "peak_mib_below": curve[-1]["peak_mib"],
            "cost_a_row_2m_over_200k": curve[-1]["microseconds_a_row"] / curve[0]["microseconds_a_row"],
        },
    }


def mixture_on_disk(np, file, n, components):
    rng = np.random.default_rng(7)
    centres = rng.standard_normal((components, D), dtype=np.float32)
    out = np.lib.format.open_memmap(file, mode="w+", dtype=np.float16, shape=(n, D))
    for first in range(0, n, 50_000):
        count = min(50_000, n - first)
        x = centres[rng.integers(components, size=count)]
        x += 1.5 * rng.standard_normal((count, D), dtype=np.float32)
        # One row in ten is almost its neighbour.
        x[9::10] = x[8::10] + 0.1 * rng.standard_normal(x[9::10].shape, dtype=np.float32)
        out[first:first + count] = x / np.linalg.norm(x, axis=1, keepdims=True)
    out.flush()


if __name__ == "__main__":
    main()
