"""Times k-means on data that nobody made for it, beside faiss and SuperKMeans.

    python3 benches/cluster/real.py [DATA-CLUSTERS ...]

Parts: fashion-256, fashion-1024, fashion-4096, pictures-1024, captions-1024, clip-1024, clip-4096,
white-1024, levels-fashion-1024, levels-clip-1024, levels-clip1m-16384 (8 GB of memory, 2 GB of disk); all of
them without an argument. Each part replaces its own section of the record of this class
of processors, real/CLASS.json, unless the machine is not quiet: a part waits five minutes for the load to fall to .5, and with more
at its start it prints what it measured and keeps nothing. Needs cargo, 4 GB of memory, 1 GB of temporary disk and a network for
`pip install` into a virtual environment under target/. MEASURE may name a program that is built already.

- fashion: Fashion-MNIST, 70,000 x 784 in [0, 255], from Debian's package dataset-fashion-mnist, each row
  scaled to length 1.
- pictures and captions: the 73,790 pairs of the demonstration's whole pool (`cargo xtask data build`), as
  128 features of an image network and 384 of MiniLM, in half precision on disk.
- clip: 100,000 x 512 made like features of CLIP: a common offset, a spectrum that falls, and 5,000
  components of uneven size.
- clip1m: the same with 1,000,000 rows and 50,000 components.
- white: 100,000 x 512 without any structure, where no bound helps.
- levels-...: a start by levels beside SuperKMeans' hierarchical mode as it comes: the training alone of both,
  without an exact pass of ours; and ours with one exact pass and the assignment of all rows. Inertia is
  computed from 100,000 rows at most.
- Sides take turns within a run, on the same number of threads; 20 iterations without a tolerance. Ours
  and faiss start from the same random rows. SuperKMeans draws its own, on all rows, without ending early;
  its time is its training alone, where the others' holds the last assignment too. Inertia is computed by
  one program from the centroids that each returns, scaled to length 1.
- "ruled" is how ours decided the pairs of rows and centroids, as shares: by bounds between passes (no
  number was multiplied), by heads of a few numbers, by integers of whole vectors, and in f32.

On a processor with AVX-512, `ours_f32` is ours without 8-bit integers and `ours_avx2` ours with the
instructions of one without AVX-512, while the peers keep theirs.
"""

import gzip
import hashlib
import json
import os
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
FASHION = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
PACKAGES = ["numpy", "faiss-cpu", "superkmeans"]
THREADS, ITERATIONS, TURNS = 2, 20, 3
# By class, the widest first: what its records are called, and how ours is run on it.
NARROWER = {"ours_f32": {"CURATE_INTEGERS": "off"}, "ours_avx2": {"CURATE_INSTRUCTIONS": "avx2"}}
CLASSES = {"avx512_vnni": NARROWER, "avx512f": {"ours_avx2": NARROWER["ours_avx2"]}, "avx2": {}}
CLASS = report.class_of_processor(CLASSES)
KINDS = {"ours": {}} | CLASSES.get(CLASS, {})
RESULTS = HERE / "real" / f"{CLASS}.json"
PARTS = ["fashion-256", "fashion-1024", "fashion-4096", "pictures-1024", "captions-1024", "clip-1024", "clip-4096", "white-1024"]
LEVELS = ["levels-fashion-1024", "levels-clip-1024", "levels-clip1m-16384"]
# Fixed before the first run.
BARS = {
    f"{part}.{ratio}": bar
    for part in PARTS
    for ratio, bar in (
        {"faiss_over_ours": 1.0}
        if part.startswith("white")
        else {"superkmeans_over_ours": 3.0 if CLASS == "avx512_vnni" else 2.0, "superkmeans_over_ours_f32": 2.0,
              "superkmeans_over_ours_avx2": 2.0, "faiss_over_ours": 10.0}
    ).items()
    if ratio.partition("_over_")[2] in KINDS
} | {
    f"{part}.{ratio}": bar
    for part in LEVELS
    for ratio, bar in {"hierarchical_over_levels": 2.0, "inertia_levels_over_hierarchical_below": 1.0}.items()
}


def main():
    parts = [arg for arg in sys.argv[1:] if not arg.startswith("--")] or PARTS + LEVELS
    if "--inside" not in sys.argv:
        python = BENCH / "real-venv" / "bin" / "python"
        if not python.exists():
            venv.create(BENCH / "real-venv", with_pip=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        # A core type set for old libraries would slow the peers down.
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        env |= {"OMP_NUM_THREADS": str(THREADS)}
        if "MEASURE" not in env:
            env["MEASURE"] = report.driver("curate-dedup", "measure")
        subprocess.run([python, __file__, "--inside", *parts], check=True, env=env)
        return
    DATA.mkdir(parents=True, exist_ok=True)
    for part in parts:
        *kind, data, clusters = part.split("-")
        rows(data)
        load = report.wait_until_quiet()
        measured = (levels if kind else k_means)(data, int(clusters))
        section = {"load_before": load, **measured}
        if load <= report.QUIET:
            report.save(RESULTS, part, section, "python3 benches/cluster/real.py",
                        "seconds, median of turns; ratios are theirs over ours", versions(), BARS)
        else:
            print(part, json.dumps(section, indent=2))
            print(f"not kept: the load was {load:.1f} when it began, and may be {report.QUIET} at most", flush=True)


def versions():
    from importlib.metadata import version

    return {package: version(package) for package in PACKAGES}


def rows(data):
    import numpy as np

    file = DATA / f"real-{data}.npy"
    if not file.exists():
        x = {"fashion": fashion, "pictures": pictures, "captions": captions, "clip": clip, "clip1m": clip1m, "white": white}[data]()
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        np.save(file, np.ascontiguousarray(x, dtype=np.float32))
    return file


def fashion():
    import numpy as np

    def images(name):
        file = FASHION / name
        if not file.exists():
            sys.exit(f"no {file}: install Debian's dataset-fashion-mnist, or say with FASHION_MNIST where its files are")
        return np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16).reshape(-1, 784)

    names = ["train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"]
    return np.concatenate([images(name) for name in names]).astype(np.float32)


def pictures():
    return pool("img")


def captions():
    return pool("txt")


def pool(name):
    import numpy as np

    shards = sorted((ROOT / "data" / "pool" / "metadata").glob("*.npz"))
    if not shards:
        sys.exit("no data/pool: make it with `cargo xtask data build`")
    return np.concatenate([np.load(shard)[name] for shard in shards]).astype(np.float32)


def clip(n=100_000, dim=512, components=5_000):
    import numpy as np

    rng = np.random.default_rng(0)
    spread = (1.0 + np.arange(dim)) ** -0.5
    spread /= np.sqrt((spread ** 2).sum())
    turn = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
    offset = rng.standard_normal(dim)
    offset *= 0.75 / np.linalg.norm(offset)
    centers = 0.6 * rng.standard_normal((components, dim)) * spread
    of = rng.choice(components, n, p=rng.dirichlet(np.full(components, 0.5)))
    out = np.empty((n, dim), np.float32)
    for i in range(0, n, 10_000):
        noise = 0.55 * rng.standard_normal((len(of[i:i + 10_000]), dim)) * spread
        out[i:i + 10_000] = (centers[of[i:i + 10_000]] + noise) @ turn.T + offset
    return out


def clip1m():
    return clip(1_000_000, components=50_000)


def white(n=100_000, dim=512):
    import numpy as np

    return np.random.default_rng(1).standard_normal((n, dim), dtype=np.float32)


def start(data, k):
    import numpy as np

    file = DATA / f"real-start-{data}-{k}.npy"
    if not file.exists():
        x = np.load(rows(data), mmap_mode="r")
        np.save(file, x[np.sort(np.random.default_rng(k).choice(len(x), k, replace=False))])
    return file


def inertia(x, centroids):
    """Sum of 1 - the largest cosine, with the centroids scaled to unit length."""
    import numpy as np

    c = centroids / np.maximum(np.linalg.norm(centroids, axis=1, keepdims=True), 1e-30)
    parts = (x[i:i + 4096] @ c.T for i in range(0, len(x), 4096))
    return float(sum((1 - part.max(1).astype(np.float64)).sum() for part in parts))


def ours(kind, data, k):
    import numpy as np

    out = DATA / f"real-{kind}.npy"
    words = ["k-means", rows(data), start(data, k), ITERATIONS, "spherical", out]
    env = {**os.environ, **KINDS[kind], "RAYON_NUM_THREADS": str(THREADS)}
    found = subprocess.run([os.environ["MEASURE"], *map(str, words)], env=env, check=True, stdout=subprocess.PIPE)
    note = json.loads(found.stdout)
    return note["seconds"], np.load(out), note


def timed(work):
    begin = time.perf_counter()
    answer = work()
    return time.perf_counter() - begin, answer, {}


def peers(x, first, k):
    import faiss
    from superkmeans import SuperKMeans

    def with_faiss():
        kmeans = faiss.Kmeans(x.shape[1], k, niter=ITERATIONS, spherical=True, max_points_per_centroid=10**9, seed=1)
        kmeans.train(x, init_centroids=first)
        kmeans.index.search(x, 1)
        return kmeans.centroids

    def with_superkmeans():
        model = SuperKMeans(k, x.shape[1], hierarchical=False, iters=ITERATIONS, sampling_fraction=1.0,
                            max_points_per_cluster=10**9, n_threads=THREADS, early_termination=False, angular=True)
        return model.train(x)

    faiss.omp_set_num_threads(THREADS)
    return {"faiss": lambda: timed(with_faiss), "superkmeans": lambda: timed(with_superkmeans)}


def k_means(data, k):
    import numpy as np

    x, first = np.load(rows(data)), np.load(start(data, k))
    sides = {kind: lambda kind=kind: ours(kind, data, k) for kind in KINDS} | peers(x, first, k)
    seconds, centroids, notes = {name: [] for name in sides}, {}, {}
    for _ in range(TURNS):
        for name, side in sides.items():
            taken, centroids[name], notes[name] = side()
            seconds[name].append(taken)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    found = {name: inertia(x, c) for name, c in centroids.items()}
    ratios = {f"{peer}_over_{kind}": median[peer] / median[kind] for peer in ("superkmeans", "faiss") for kind in KINDS}
    return {
        "case": {"rows": len(x), "dim": x.shape[1], "clusters": k, "iterations": ITERATIONS, "threads": THREADS},
        "sha256": hashlib.sha256(rows(data).read_bytes()).hexdigest(),
        "seconds": median,
        "spread": {name: [min(values), max(values)] for name, values in seconds.items()},
        "inertia": found,
        "ruled": {kind: ruled(notes[kind]) for kind in KINDS},
        "same_bytes_on_every_instruction_set": all(np.array_equal(centroids["ours"], centroids[kind]) for kind in KINDS),
        "ratios": ratios | {"inertia_ours_over_superkmeans": found["ours"] / found["superkmeans"]},
    }


def levels(data, k):
    import numpy as np
    from superkmeans import SuperKMeans

    x = np.load(rows(data))
    some = x[:: -(-len(x) // 100_000)]

    def with_superkmeans():
        return SuperKMeans(k, x.shape[1], hierarchical=True, n_threads=THREADS, angular=True).train(x)

    def with_levels(passes):
        out = DATA / "real-levels.npy"
        words = ["levels", rows(data), k, passes, "spherical", out]
        env = {**os.environ, "RAYON_NUM_THREADS": str(THREADS)}
        found = subprocess.run([os.environ["MEASURE"], *map(str, words)], env=env, check=True, stdout=subprocess.PIPE)
        note = json.loads(found.stdout)
        return note["seconds_of_training" if passes == 0 else "seconds"], np.load(out), note

    sides = {"levels": lambda: with_levels(0), "levels_and_a_pass": lambda: with_levels(1),
             "hierarchical": lambda: timed(with_superkmeans)}
    seconds, found = {name: [] for name in sides}, {}
    for turn in range(TURNS):
        for name, side in sides.items():
            taken, centroids, _ = side()
            seconds[name].append(taken)
            if turn == 0:
                found[name] = inertia(some, centroids) * len(x) / len(some)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratios = {f"hierarchical_over_{name}": median["hierarchical"] / median[name] for name in list(sides)[:2]}
    below = {f"inertia_{name}_over_hierarchical_below": found[name] / found["hierarchical"] for name in list(sides)[:2]}
    return {
        "case": {"rows": len(x), "dim": x.shape[1], "clusters": k, "threads": THREADS},
        "sha256": hashlib.sha256(rows(data).read_bytes()).hexdigest(),
        "seconds": median,
        "spread": {name: [min(values), max(values)] for name, values in seconds.items()},
        "inertia": found,
        "ratios": ratios | below,
    }


def ruled(note):
    """Shares of all pairs of all passes, by what decided them."""
    counts = note["ruled"]
    return {name: count / counts["pairs"] for name, count in counts.items() if name != "pairs"} | {
        "pairs": counts["pairs"], "iterations": note["iterations"]}


if __name__ == "__main__":
    main()
