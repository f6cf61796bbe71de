"""Times reading, DataComp's clip_score baseline and resharding beside numpy, pandas, DuckDB, polars and webdataset.

    python3 benches/io/run.py [PART ...]

Parts: npz, clip_score, runs, reshard; all of them without an argument. Each part replaces its own section
of results.json, so that they can be run one by one on a quiet machine. Needs cargo, 5 GB of temporary
disk, and a network for `pip install` into a virtual environment under target/. Sides take turns, on
the same number of threads, and read the same files, which lie in the page cache by then; the median
of the turns counts. Both sides' answers are compared in every turn.

- npz: 200,000 vectors of 512 float16 in one npz file, stored and deflated, read in blocks of 8,192
  rows into float32. numpy's side loads the member with `np.load` and converts block by block. One
  thread each, since numpy has no other.
- clip_score: the best 30 % by ViT-L/14 score of 5 million metadata rows in 10 Parquet files, to a
  subset file. pandas' side does what DataComp's script does, written from its rules: a pool of
  threads reads the scores of all files, numpy sorts them, and the pool reads every file again and
  turns the uids of good rows into numbers one by one; then `sort` and `np.save`. `vectorised` is a
  kinder peer: every file is read once, and uids become numbers by array arithmetic. DuckDB and polars
  do the same in their own engines: the threshold by a sort of the scores, uids to numbers by their casts
  from hexadecimal, the rows sorted by them. Python's imports do not count, our whole process does, the flush
  of its file to the disk included, of which theirs has none. Peak memory is that of the whole process, once
  more with a fifth of the rows.
- runs: `curate run` on the same rows: the score, the best 30 %, evidence, subset, report and explorer. What
  was written when says how long each took; beside it the time to read the pool's bytes once.
- reshard: 50,000 samples (jpg, txt, json) in 10 shards, all of them copied into shards of 10,000
  (`all`), and a selection of 30 % of them of which every third is wanted twice (`some`); with jpgs of
  4 KB, and `all` again with jpgs of 35 KB, which is what a sample of CommonPool takes on average.
  Python's side does DataComp's resharder's job with webdataset and its `ShardWriter`: as many
  processes as threads, each with its share of the input shards and its own output shards. Ours
  flushes every shard to the disk before it counts as written; Python's side does not.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
import venv
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report  # noqa: E402  beside this folder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BENCH = TARGET / "bench-io"
DATA = Path(os.environ.get("CURATE_BENCH_DATA", BENCH / "data"))
RESULTS = HERE / "results.json"
CURATE = TARGET / "release" / "curate"
READ_BLOCKS = TARGET / "release" / "examples" / "read_blocks"
PACKAGES = ["numpy", "pandas", "pyarrow", "duckdb", "polars", "webdataset"]
THREADS = 2
ROWS, SHARDS, FRACTION = 5_000_000, 10, 0.3
SAMPLES, SAMPLES_PER_SHARD = 50_000, 10_000
SCORE = "clip_l14_similarity_score"
# Fixed before the first run.
BARS = {
    "npz.stored_numpy_over_ours": 1.0,
    "npz.deflated_numpy_over_ours": 1.0,
    "clip_score.pandas_over_ours": 10.0,
    "clip_score.duckdb_over_ours": 1.0,
    "clip_score.polars_over_ours": 1.0,
    "clip_score.peak_mib_below": 512.0,
    "reshard.all_4_kb_webdataset_over_ours": 5.0,
}


def main():
    words = sys.argv[1:]
    if words[:1] == ["--clip-score"]:
        return PEERS[words[1]](Path(words[2]), Path(words[3]), int(words[4]))
    if words[:1] == ["--webdataset"]:
        return webdataset_reshard(Path(words[1]), Path(words[2]), Path(words[3]), int(words[4]))
    if words[:1] == ["--measured"]:
        return run_measured(words[1:])
    if "--inside" not in words:
        return reenter(words)
    DATA.mkdir(parents=True, exist_ok=True)
    parts = {"npz": npz, "clip_score": clip_score, "runs": run_of_many_rows, "reshard": reshard}
    for part in [word for word in words if word != "--inside"] or parts:
        save(part, parts[part]())


def reenter(words):
    """Runs this file again in an environment that has the peers, with the program built."""
    python = BENCH / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(BENCH / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    build = ["cargo", "build", "--quiet", "--release", "--package", "curate-cli", "--package", "curate-io",
             "--bin", "curate", "--example", "read_blocks"]
    subprocess.run(build, cwd=ROOT, check=True)
    # A core type set for old libraries would slow numpy down.
    env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    subprocess.run([python, __file__, "--inside", *words], check=True, env=env)


def save(part, section):
    unit = "seconds, median of turns; MiB at the peak, largest of turns; ratios are theirs over ours"
    report.save(RESULTS, part, section, "python3 benches/io/run.py", unit, versions(), BARS)


def versions():
    from importlib.metadata import version

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    return {"python": platform.python_version(), "rustc": rustc} | {name: version(name) for name in PACKAGES}


def measured(command, env=None):
    """Seconds and peak resident MiB of a process, and what it printed."""
    # Through a small process: the peak of a child counts what its parent held when it was forked.
    words = [sys.executable, "-S", __file__, "--measured", *map(str, command)]
    out = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | (env or {})).stdout
    said, _, last = out.rstrip("\n").rpartition("\n")
    seconds, peak = json.loads(last)
    return seconds, peak, said


def run_measured(command):
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    print(json.dumps([seconds, usage.ru_maxrss / 1024]))


def take_turns(sides, turns):
    """The answers of each side, which take turns so that a busy minute hits all of them."""
    found = {name: [] for name in sides}
    for _ in range(turns):
        for name, side in sides.items():
            found[name].append(side())
    return found


def medians(found):
    return {name: statistics.median(turn[0] for turn in turns) for name, turns in found.items()}


# npz


def npz_folder(kind):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = DATA / "npz" / kind
    if not folder.exists():
        rng = np.random.default_rng(0)
        x = rng.standard_normal((200_000, 512), dtype=np.float32).astype(np.float16)
        folder.mkdir(parents=True)
        (np.savez if kind == "stored" else np.savez_compressed)(folder / "a.npz", img=x)
        pq.write_table(pa.table({"uid": [f"{i:032x}" for i in range(len(x))]}), folder / "a.parquet")
    return folder


def numpy_blocks(path):
    import numpy as np

    start = time.perf_counter()
    with np.load(path) as arrays:
        array = arrays["img"]
        for first in range(0, len(array), 8192):
            block = array[first : first + 8192].astype(np.float32)
    return time.perf_counter() - start, float(block[-1, -1])


def our_blocks(folder):
    found = json.loads(measured([READ_BLOCKS, folder, "img"], {"RAYON_NUM_THREADS": "1"})[2])
    return found["seconds"], found["last"]


def npz():
    seconds, ratios = {}, {}
    for kind in ("stored", "deflated"):
        folder = npz_folder(kind)
        sides = {"ours": lambda: our_blocks(folder), "numpy": lambda: numpy_blocks(folder / "a.npz")}
        found = take_turns(sides, 7)
        assert len({turn[1] for turns in found.values() for turn in turns}) == 1, "both read the same numbers"
        seconds[kind] = medians(found)
        ratios[f"{kind}_numpy_over_ours"] = seconds[kind]["numpy"] / seconds[kind]["ours"]
    return {"case": {"rows": 200_000, "dim": 512, "threads": 1}, "seconds": seconds, "ratios": ratios}


# clip_score


def clip_score_folder(shards):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = DATA / "clip_score" / str(shards)
    if folder.exists():
        return folder
    rng = np.random.default_rng(2)
    folder.mkdir(parents=True)
    for _ in range(shards):
        n = ROWS // SHARDS
        scores = rng.normal(0.2, 0.05, n).astype(np.float32)
        scores[rng.random(n) < 0.001] = np.nan
        pq.write_table(pa.table({
            "uid": [rng.bytes(16).hex() for _ in range(n)],
            "text": [f"a caption of some words {i}" for i in range(n)],
            "original_width": rng.integers(50, 3000, n),
            "original_height": rng.integers(50, 3000, n),
            "clip_b32_similarity_score": rng.normal(0.25, 0.05, n).astype(np.float32),
            SCORE: scores,
        }), folder / f"{rng.bytes(16).hex()}.parquet")
    return folder


# Each runs in a process of its own; prints its seconds without the imports.


def pandas_clip_score(folder, out, threads, vectorised=False):
    from multiprocessing.pool import ThreadPool

    import numpy as np
    import pandas as pd
    import pyarrow as pa

    pa.set_cpu_count(threads)
    start = time.perf_counter()
    files = sorted(folder.glob("*.parquet"))
    with ThreadPool(threads) as pool:
        if vectorised:
            frame = pd.concat(pool.map(lambda file: pd.read_parquet(file, columns=["uid", SCORE]), files))
            scores = frame[SCORE].to_numpy()
            ids = uids_by_arithmetic(frame["uid"][scores >= threshold_of(scores)])
            ids = ids[np.lexsort((ids["f1"], ids["f0"]))]
        else:
            scores = pd.concat(pool.map(lambda file: pd.read_parquet(file, columns=[SCORE]), files))
            threshold = threshold_of(scores[SCORE].to_numpy())
            ids = np.concatenate(pool.map(lambda file: uids_one_by_one(file, threshold), files))
            ids.sort()
    np.save(out, ids)
    print(time.perf_counter() - start)


def duckdb_clip_score(folder, out, threads):
    import duckdb

    start = time.perf_counter()
    db = duckdb.connect(config={"threads": threads})
    rows = f"read_parquet('{folder}/*.parquet')"
    # DuckDB sorts NaN above all numbers.
    score = f"CASE WHEN isnan({SCORE}) THEN NULL ELSE {SCORE} END"
    count = db.sql(f"SELECT count(*) FROM {rows}").fetchall()[0][0]
    threshold = db.sql(f"SELECT {score} AS s FROM {rows} ORDER BY s DESC NULLS LAST "
                       f"LIMIT 1 OFFSET {int(count * FRACTION)}").fetchall()[0][0]
    half = "CAST('0x' || substr(uid, {}, 16) AS UBIGINT)"
    found = db.sql(f"SELECT {half.format(1)} AS f0, {half.format(17)} AS f1 FROM {rows} "
                   f"WHERE {SCORE} >= {threshold!r}::FLOAT AND NOT isnan({SCORE}) ORDER BY f0, f1").fetchnumpy()
    save_pairs(out, found["f0"], found["f1"])
    print(time.perf_counter() - start)


def polars_clip_score(folder, out, threads):
    # Read when polars is imported.
    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl

    start = time.perf_counter()
    rows = pl.scan_parquet(folder / "*.parquet")
    scores = rows.select(pl.col(SCORE).fill_nan(None)).collect()[SCORE]
    threshold = scores.sort(descending=True, nulls_last=True)[int(len(scores) * FRACTION)]
    half = [pl.col("uid").str.slice(first, 16).str.to_integer(base=16, dtype=pl.UInt64) for first in (0, 16)]
    good = rows.filter(pl.col(SCORE).fill_nan(None) >= threshold)
    found = good.select(f0=half[0], f1=half[1]).sort("f0", "f1").collect()
    save_pairs(out, found["f0"].to_numpy(), found["f1"].to_numpy())
    print(time.perf_counter() - start)


def save_pairs(out, first, second):
    import numpy as np

    ids = np.empty(len(first), dtype=np.dtype("u8,u8"))
    ids["f0"], ids["f1"] = first, second
    np.save(out, ids)


PEERS = {
    "pandas": pandas_clip_score,
    "pandas_vectorised": partial(pandas_clip_score, vectorised=True),
    "duckdb": duckdb_clip_score,
    "polars": polars_clip_score,
}


def threshold_of(scores):
    """The score at the fraction's place from the top, NaN last."""
    import numpy as np

    return -np.sort(-scores)[int(len(scores) * FRACTION)]


def uids_one_by_one(file, threshold):
    import numpy as np
    import pandas as pd

    frame = pd.read_parquet(file, columns=["uid", SCORE])
    good = frame[frame[SCORE] >= threshold]["uid"].to_numpy()
    return np.array([(int(uid[:16], 16), int(uid[16:32], 16)) for uid in good], dtype=np.dtype("u8,u8"))


def uids_by_arithmetic(uids):
    import numpy as np

    digits = np.frombuffer("".join(uids).encode(), dtype=np.uint8).reshape(-1, 32).astype(np.uint64)
    digits = np.where(digits > 57, digits - 87, digits - 48)
    powers = np.uint64(16) ** np.arange(15, -1, -1, dtype=np.uint64)
    ids = np.empty(len(digits), dtype=np.dtype("u8,u8"))
    ids["f0"] = (digits[:, :16] * powers).sum(axis=1, dtype=np.uint64)
    ids["f1"] = (digits[:, 16:] * powers).sum(axis=1, dtype=np.uint64)
    return ids


def clip_score():
    def ours(folder):
        out = DATA / "ours.npy"
        seconds, peak, _ = measured([CURATE, "baseline", "clip_score", "--arch", "l14", "--fraction", FRACTION,
                                     "--metadata-dir", folder, "--save-path", out, "--threads", THREADS, "--quiet"])
        return seconds, peak, out.read_bytes()

    def theirs(folder, peer):
        out = DATA / "theirs.npy"
        _, peak, said = measured([sys.executable, __file__, "--clip-score", peer, folder, out, THREADS])
        # Ours flushes its file: it shall not wait for theirs.
        os.sync()
        return float(said), peak, out.read_bytes()

    all_rows, a_fifth = clip_score_folder(SHARDS), clip_score_folder(SHARDS // 5)
    os.sync()
    sides = {peer: lambda peer=peer: theirs(all_rows, peer) for peer in PEERS}
    found = take_turns({"ours": lambda: ours(all_rows)} | sides, 9)
    subsets = {turn[2] for turns in found.values() for turn in turns}
    assert len(subsets) == 1, "all sides write the same subset"
    seconds = medians(found)
    peak = {name: max(turn[1] for turn in turns) for name, turns in found.items()}
    peak |= {"ours_a_fifth": ours(a_fifth)[1], "pandas_a_fifth": theirs(a_fifth, "pandas")[1]}
    ratios = {f"{peer}_over_ours": seconds[peer] / seconds["ours"] for peer in PEERS}
    ratios |= {f"{peer}_peak_over_ours": peak[peer] / peak["ours"] for peer in PEERS}
    ratios["peak_mib_below"] = peak["ours"]
    case = {"rows": ROWS, "shards": SHARDS, "kept": (len(subsets.pop()) - 128) // 16, "threads": THREADS}
    return {"case": case, "seconds": seconds, "peak_mib": peak, "ratios": ratios}


def run_of_many_rows():
    import runs

    return runs.measure(sys.modules[__name__], 5)


# reshard


def reshard_folder(kilobytes):
    """50,000 samples in 10 shards, all their ids, and a selection with repeats."""
    import numpy as np
    import webdataset as wds

    folder = DATA / "reshard" / str(kilobytes)
    if folder.exists():
        return folder
    rng = np.random.default_rng(1)
    (folder / "in").mkdir(parents=True)
    uids = [rng.bytes(16).hex() for _ in range(SAMPLES)]
    for shard in range(SHARDS):
        with wds.TarWriter(str(folder / f"in/{shard:08d}.tar"), mtime=0) as sink:
            for i in range(shard * SAMPLES // SHARDS, (shard + 1) * SAMPLES // SHARDS):
                record = json.dumps({"uid": uids[i], "caption": f"caption {i}", "similarity": 0.25})
                sink.write({"__key__": f"{i:09d}", "jpg": rng.bytes(1000 * kilobytes), "txt": f"caption {i}",
                            "json": record.encode()})
    some = [u for i, u in enumerate(uids) if i % 10 < 3] + [u for i, u in enumerate(uids) if i % 10 == 0]
    for name, wanted in (("all", uids), ("some", some)):
        ids = sorted(divmod(int(uid, 16), 2**64) for uid in wanted)
        np.save(folder / f"{name}.npy", np.array(ids, dtype=np.dtype("u8,u8")))
    return folder


def webdataset_reshard(pool, subset, out, threads):
    """Runs in a process of its own; prints its seconds without the imports."""
    from multiprocessing import Process

    import numpy, webdataset  # noqa: a process that is forked has them already

    start = time.perf_counter()
    tars = sorted(pool.glob("*.tar"))
    shares = [tars[len(tars) * i // threads : len(tars) * (i + 1) // threads] for i in range(threads)]
    workers = [Process(target=webdataset_worker, args=(share, subset, out / str(i))) for i, share in enumerate(shares)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    print(time.perf_counter() - start)


def webdataset_worker(tars, subset, out):
    import numpy as np
    import webdataset as wds

    out.mkdir(parents=True)
    ids = np.load(subset, mmap_mode="r")
    pattern = str(out / "%08d.tar")
    with wds.ShardWriter(pattern, maxcount=SAMPLES_PER_SHARD, maxsize=1e12, verbose=0, mtime=0, encoder=False) as sink:
        for sample in wds.WebDataset([str(tar) for tar in tars], shardshuffle=False):
            uid = json.loads(sample["json"])["uid"]
            key = np.array([divmod(int(uid, 16), 2**64)], dtype=ids.dtype)
            copies = np.searchsorted(ids, key, "right")[0] - np.searchsorted(ids, key, "left")[0]
            fields = {k: v for k, v in sample.items() if not k.startswith("__")}
            for j in range(copies):
                sink.write({"__key__": f"{uid}-{j}", **fields})


def members(tars):
    """A digest of the names and bytes of the members of tar files, in order."""
    import hashlib
    import tarfile

    digest = hashlib.sha256()
    for tar in tars:
        with tarfile.open(tar) as archive:
            for member in archive:
                digest.update(f"{member.name} {member.size}\n".encode() + archive.extractfile(member).read())
    return digest.hexdigest()


def reshard_case(kilobytes, wanted, turns):
    folder, out = reshard_folder(kilobytes), DATA / "out"
    pool, subset = folder / "in", folder / f"{wanted}.npy"

    def side(run):
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        seconds = run()
        # What one side left to be written does not slow the next one down.
        os.sync()
        return seconds, members(sorted(out.rglob("*.tar")))

    def ours():
        return measured([CURATE, "reshard", pool, "--subset", subset, "--out", out, "--threads", THREADS, "--quiet"])[0]

    def theirs():
        return float(measured([sys.executable, __file__, "--webdataset", pool, subset, out, THREADS])[2])

    found = take_turns({"ours": lambda: side(ours), "webdataset": lambda: side(theirs)}, turns)
    shutil.rmtree(out)
    assert len({turn[1] for side in found.values() for turn in side}) == 1, "both sides write the same samples"
    return medians(found)


def reshard():
    seconds, ratios = {}, {}
    for kilobytes, wanted, turns in ((4, "all", 5), (4, "some", 5), (35, "all", 3)):
        name = f"{wanted}_{kilobytes}_kb"
        seconds[name] = reshard_case(kilobytes, wanted, turns)
        ratios[f"{name}_webdataset_over_ours"] = seconds[name]["webdataset"] / seconds[name]["ours"]
    return {"case": {"samples": SAMPLES, "written_some": 20_000, "threads": THREADS}, "seconds": seconds, "ratios": ratios}


if __name__ == "__main__":
    main()
