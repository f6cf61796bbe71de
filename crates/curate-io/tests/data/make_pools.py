"""Writes pools/: one small table of vectors in every layout that pools come in, by the tools that
write them elsewhere (numpy, pyarrow, h5py).

    pip install numpy pyarrow h5py
    python3 make_pools.py

`expected.npy` holds the vectors as float32; every value is exact in float16, so that all layouts
hold the same numbers.
"""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "pools"
N, D = 10, 4


def save_as(path, array, version):
    with open(path, "wb") as f:
        np.lib.format.write_array(f, array, version=version)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    HERE.mkdir()
    rng = np.random.default_rng(3)
    x = rng.standard_normal((N, D)).astype(np.float16).astype(np.float32)
    uids = [rng.bytes(16).hex() for _ in range(N)]
    texts = [f"caption {i}" for i in range(N)]
    score = np.arange(N, dtype=np.float32) / 8
    np.save(HERE / "expected.npy", x)
    (HERE / "uids.txt").write_text("\n".join(uids) + "\n")

    npy = HERE / "npy"  # versions 1 to 3, three types
    npy.mkdir()
    save_as(npy / "a.npy", x[:3].astype(np.float16), (1, 0))
    save_as(npy / "b.npy", x[3:7], (2, 0))
    save_as(npy / "c.npy", x[7:].astype(np.float64), (3, 0))
    refused = HERE / "refused"
    refused.mkdir()
    np.save(refused / "objects.npy", np.array([[1, "x"], [None, 2]], dtype=object), allow_pickle=True)
    np.save(refused / "cube.npy", x.reshape(N, 2, 2))
    orders = HERE / "orders"
    orders.mkdir()
    np.save(orders / "fortran.npy", np.asfortranarray(x))
    np.save(orders / "big_endian.npy", x.astype(">f4"))
    np.save(orders / "integers.npy", x.astype(np.int64))

    clip = HERE / "clip_retrieval"
    for folder in ("img_emb", "text_emb", "metadata"):
        (clip / folder).mkdir(parents=True)
    # The parts 2 and 10: their order is that of their numbers, not of their names.
    for part, rows in ((2, slice(0, 6)), (10, slice(6, N))):
        np.save(clip / f"img_emb/img_emb_{part}.npy", x[rows].astype(np.float16))
        np.save(clip / f"text_emb/text_emb_{part}.npy", -x[rows].astype(np.float16))
        table = pa.table({"image_path": uids[rows], "caption": texts[rows]})
        pq.write_table(table, clip / f"metadata/metadata_{part}.parquet")

    parquet = HERE / "parquet"
    parquet.mkdir()
    for name, kind in (("f2", np.float16), ("f4", np.float32), ("f8", np.float64)):
        flat = pa.array(x.astype(kind).ravel())
        fixed = pa.FixedSizeListArray.from_arrays(flat, D)
        offsets = pa.array(np.arange(0, N * D + 1, D, dtype=np.int32))
        lists = pa.ListArray.from_arrays(offsets, flat)
        large = pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), flat)
        table = pa.table({"uid": uids, "text": texts, "score": score, "fixed": fixed, "list": lists,
                          "large": large})
        (parquet / name).mkdir()
        pq.write_table(table, parquet / name / "a.parquet", row_group_size=4)
    gaps = [None, *x[1:9].tolist(), None]
    table = pa.table({"uid": uids, "list": pa.array(gaps, pa.list_(pa.float32())),
                      "fixed": pa.array(gaps, pa.list_(pa.float32(), D))})
    (parquet / "gaps").mkdir()
    pq.write_table(table, parquet / "gaps/a.parquet")
    ragged = [row[: 3 if i == 5 else D] for i, row in enumerate(x.tolist())]
    (parquet / "ragged").mkdir()
    pq.write_table(pa.table({"uid": uids, "list": ragged}), parquet / "ragged/a.parquet")

    jsonl = HERE / "jsonl"
    jsonl.mkdir()
    with open(jsonl / "a.jsonl", "w") as f:
        for i in range(N):
            f.write(json.dumps({"uid": uids[i], "text": texts[i], "score": float(score[i])}) + "\n")
    np.savez_compressed(jsonl / "a.npz", img=x.astype(np.float16), txt=-x)
    np.save(jsonl / "a.npy", 2 * x)

    h5 = HERE / "hdf5"
    h5.mkdir()
    with h5py.File(h5 / "pool.h5", "w") as f:
        f["uid"] = uids
        f["text"] = texts
        f["score"] = score
        f["plain"] = x
        f.create_dataset("clip/image", data=x.astype(np.float16), chunks=(3, 2), compression="gzip",
                         shuffle=True)
        f.create_dataset("clip/double", data=x.astype(np.float64), chunks=(4, 4))
        f.create_dataset("clip/big", data=x.astype(">f4"))
        f["queries"] = x[:2]
    # ann-benchmarks' layout: no ids, and a `test` of another length.
    with h5py.File(HERE / "ann.hdf5", "w") as f:
        f.attrs["distance"] = "angular"
        f["train"] = x
        f["test"] = x[:2]
        f["neighbors"] = np.zeros((2, 3), dtype=np.int32)
        f["distances"] = np.zeros((2, 3), dtype=np.float32)
    with h5py.File(HERE / "fixed_text.h5", "w") as f:
        f["key"] = np.array(uids, dtype="S32")
        f["emb"] = x
    with h5py.File(HERE / "hollow.h5", "w") as f:
        f.create_dataset("train", shape=(2**50, 4), chunks=(1024, 4), dtype="f4")
    with h5py.File(HERE / "disagree.h5", "w") as f:
        f["a"] = x
        f["b"] = x[:3]


if __name__ == "__main__":
    main()
