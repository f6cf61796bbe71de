"""Times curate-io beside numpy and the Python package webdataset, and writes results.json.

    python3 benches/io/run.py

Needs cargo, 3 GB of temporary disk, and a network for `pip install numpy pyarrow webdataset` into a
temporary virtual environment. Sides take turns within one run. Each reads the same files, which lie
in the page cache of the operating system.

- npz to f32: 200,000 vectors of 512 float16 in one npz file, stored and deflated, read in blocks of
  8192 rows into float32. numpy's side loads the member with `np.load` and converts block by block.
  One thread each.
- reshard: 50,000 samples (jpg of 4 KB, txt, json) in 10 shards, a selection of 30 % of which every
  tenth twice, into shards of 10,000. The Python side is the loop of DataComp's resharder, written
  from its documented behaviour, with one process: DataComp runs as many as there are shards, each
  doing this. Ours is timed with one thread and with two. Both check nothing but what they need.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BARS = {"npz_stored_vs_numpy": 1.0, "reshard_1_thread_vs_webdataset": 5.0}
REPEATS = 5
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def reenter():
    """Runs this file again inside a temporary environment that has the peers."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin/python")
        subprocess.run([python, "-m", "pip", "-q", "install", "numpy", "pyarrow", "webdataset"], check=True)
        subprocess.run([python, __file__, "--inside"], check=True, env=os.environ | {"OMP_NUM_THREADS": "1"})


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def make_npz(np, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    x = rng.standard_normal((200_000, 512), dtype=np.float32).astype(np.float16)
    uids = [f"{i:032x}" for i in range(len(x))]
    for name, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
        (folder / name).mkdir()
        save(folder / name / "a.npz", img=x)
        pq.write_table(pa.table({"uid": uids}), folder / name / "a.parquet")


def numpy_blocks(np, path):
    start = time.perf_counter()
    with np.load(path) as arrays:
        array = arrays["img"]
        for first in range(0, len(array), 8192):
            block = array[first : first + 8192].astype(np.float32)
    return time.perf_counter() - start, float(block[-1, -1])


def our_blocks(folder):
    out = subprocess.run([TARGET / "examples/read_blocks", folder, "img"], check=True, capture_output=True,
                         env=os.environ | {"RAYON_NUM_THREADS": "1"})
    found = json.loads(out.stdout)
    return found["seconds"], found["last"]


def make_shards(np, wds, folder):
    rng = np.random.default_rng(1)
    (folder / "in").mkdir()
    uids = [rng.bytes(16).hex() for _ in range(50_000)]
    for shard in range(10):
        with wds.TarWriter(str(folder / f"in/{shard:08d}.tar"), mtime=0) as sink:
            for i in range(shard * 5000, shard * 5000 + 5000):
                record = json.dumps({"uid": uids[i], "caption": f"caption {i}", "similarity": 0.25})
                sink.write({"__key__": f"{i:09d}", "jpg": rng.bytes(4000), "txt": f"caption {i}",
                            "json": record.encode()})
    wanted = [u for i, u in enumerate(uids) if i % 10 < 3] + [u for i, u in enumerate(uids) if i % 10 == 0]
    ids = np.array(sorted(divmod(int(u, 16), 2**64) for u in wanted), dtype=np.dtype("u8,u8"))
    np.save(folder / "subset.npy", ids)


def webdataset_reshard(np, wds, folder, out):
    start = time.perf_counter()
    out.mkdir()
    ids = np.load(folder / "subset.npy", mmap_mode="r")
    written, sink = 0, None
    for path in sorted((folder / "in").glob("*.tar")):
        for sample in wds.WebDataset(str(path), shardshuffle=False):
            uid = json.loads(sample["json"])["uid"]
            key = np.array([divmod(int(uid, 16), 2**64)], dtype=ids.dtype)
            copies = np.searchsorted(ids, key, "right")[0] - np.searchsorted(ids, key, "left")[0]
            for j in range(copies):
                if written % 10_000 == 0:
                    if sink:
                        sink.close()
                    sink = wds.TarWriter(str(out / f"{written // 10_000:08d}.tar"), mtime=0, encoder=False)
                fields = {k: v for k, v in sample.items() if not k.startswith("__")}
                sink.write({"__key__": f"{uid}-{j}", **fields})
                written += 1
    sink.close()
    return time.perf_counter() - start


def our_reshard(folder, out, threads):
    start = time.perf_counter()
    subprocess.run([TARGET / "curate", "reshard", folder / "in", "--subset", folder / "subset.npy", "--out", out,
                    "--threads", str(threads), "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def inside():
    import numpy as np
    import webdataset as wds

    build = ["cargo", "build", "--release", "--quiet"]
    subprocess.run(build + ["-p", "curate-io", "--example", "read_blocks"], check=True, cwd=ROOT)
    subprocess.run(build + ["-p", "curate-cli"], check=True, cwd=ROOT)
    ours, theirs = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        make_npz(np, folder)
        for kind in ("stored", "deflated"):
            pairs = [(our_blocks(folder / kind), numpy_blocks(np, folder / kind / "a.npz")) for _ in range(REPEATS)]
            assert all(a[1] == b[1] for a, b in pairs), "both sides read the same numbers"
            ours[f"npz_{kind}"] = median(a[0] for a, _ in pairs)
            theirs[f"npz_{kind}"] = median(b[0] for _, b in pairs)
        make_shards(np, wds, folder)
        times = {"one": [], "two": [], "python": []}
        for turn in range(3):
            one, two, python = (folder / f"{name}{turn}" for name in times)
            times["one"].append(our_reshard(folder, one, 1))
            times["two"].append(our_reshard(folder, two, 2))
            times["python"].append(webdataset_reshard(np, wds, folder, python))
            for tar in python.glob("*.tar"):
                same = (one / tar.name).read_bytes() == tar.read_bytes() == (two / tar.name).read_bytes()
                assert same, f"{tar.name}: both sides write the same bytes"
            for out in (one, two, python):
                shutil.rmtree(out)
        ours["reshard_1_thread"], ours["reshard_2_threads"] = median(times["one"]), median(times["two"])
        theirs["reshard"] = median(times["python"])
    ratios = {
        "npz_stored_vs_numpy": theirs["npz_stored"] / ours["npz_stored"],
        "npz_deflated_vs_numpy": theirs["npz_deflated"] / ours["npz_deflated"],
        "reshard_1_thread_vs_webdataset": theirs["reshard"] / ours["reshard_1_thread"],
        "reshard_2_threads_vs_webdataset": theirs["reshard"] / ours["reshard_2_threads"],
    }
    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    report = {
        "command": "python3 benches/io/run.py",
        "unit": "seconds, median of repeats; ratios are theirs over ours",
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "webdataset": wds.__version__,
            "rustc": rustc,
        },
        "machine": {"arch": platform.machine(), "cores": os.cpu_count()},
        "ours": ours,
        "theirs": theirs,
        "ratios": ratios,
        "bars": BARS,
        "passed": {name: ratios[name] >= bar for name, bar in BARS.items()},
    }
    Path(__file__).with_name("results.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    inside() if "--inside" in sys.argv else reenter()
