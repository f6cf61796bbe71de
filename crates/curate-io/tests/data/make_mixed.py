"""Writes mixed/: pools whose parts differ as those of other writers do, by numpy and pyarrow.

    pip install numpy pyarrow
    python3 make_mixed.py
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "mixed"


def uid(i):
    return hashlib.md5(b"%d" % i).hexdigest()


def table(name, rows, **columns):
    file = HERE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    named = {"uid": [uid(i) for i in rows], "text": ["a text"] * len(rows), **columns}
    pq.write_table(pa.table({k: v for k, v in named.items() if v is not None}), file)


def array(name, values):
    file = HERE / name
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, values)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    # An empty part, and one whose columns hold nothing: pandas writes them with the type null.
    table("nulls/metadata/a.parquet", range(2), score=[0.5, 0.25], **{"clip.l14": [1.0, 2.0]},
          emb=[[1.0, 0.0], [0.0, 1.0]])
    table("nulls/metadata/b.parquet", range(0), uid=pa.nulls(0), text=pa.nulls(0), score=pa.nulls(0),
          emb=pa.nulls(0, pa.list_(pa.float32())), **{"clip.l14": pa.nulls(0)})
    table("nulls/metadata/c.parquet", range(2, 4), text=pa.nulls(2), score=pa.nulls(2),
          emb=pa.array([[], None], pa.list_(pa.null())), **{"clip.l14": [3.0, 4.0]})
    # Two columns of one name, which nobody asks for.
    twice = pa.table([[uid(0)], ["a text"], [0.5], ["x"]], names=["uid", "text", "twice", "twice"])
    (HERE / "twice").mkdir()
    pq.write_table(twice, HERE / "twice/a.parquet")
    table("text/a.parquet", range(1), text=[7])
    # Boxes of faces are no vectors of the rows, though they can be asked for.
    table("boxes/a.parquet", range(2), face_bboxes=[[[0.0, 0.5, 1.0, 1.0]], []], tokens=[[1, 2], [3, 4]],
          source=[3, 7], kind=pa.array([b"news", b"\xff\xfe"]))

    table("npz/a.parquet", range(3))
    x = np.arange(6, dtype="f4").reshape(3, 2) + 1
    np.savez(HERE / "npz/a.npz", img=np.asfortranarray(x), big=x.astype(">f8"), whole=x.astype("u1"), ids=np.arange(3),
             scale=np.float32(100), names=np.array(["a", "b", "c"]), objects=np.array([["a", None]] * 3, dtype=object),
             cube=np.zeros((3, 2, 2), "f4"))

    for name in ("whole", "no_metadata", "no_text", "no_image", "odd_keys"):
        for part in (0, 1):
            rows = range(2 * part, 2 * part + 2)
            for folder in ("img_emb", "text_emb"):
                array(f"clip/{name}/{folder}/{folder}_{part}.npy", np.array([[1.0, i] for i in rows], "f2"))
            ids = {"id": pa.array(rows, pa.int64())}
            if name == "odd_keys":
                ids = {"key": pa.array([[1.0]] * 2)}
            table(f"clip/{name}/metadata/metadata_{part}.parquet", rows, uid=None, text=None, caption=["a"] * 2, **ids)
    (HERE / "clip/no_metadata/metadata/metadata_1.parquet").unlink()
    (HERE / "clip/no_text/text_emb/text_emb_1.npy").unlink()
    (HERE / "clip/no_image/img_emb/img_emb_1.npy").unlink()


if __name__ == "__main__":
    main()
