"""Writes reshard/: small WebDataset shards, and what a resharder makes of them with the Python
package webdataset.

    pip install webdataset numpy
    python3 make_reshard.py

The loop is written from the documented behaviour of DataComp's resharder: a sample whose `uid`
occurs n times in the subset is written n times under the keys UID-0 .. UID-(n-1); a sample without
a record is left out. Run here in input order by one worker, with `mtime=0`, so that the bytes
repeat.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import webdataset as wds

HERE = Path(__file__).parent / "reshard"
PER_SHARD = 3


def halves(uid):
    return divmod(int(uid, 16), 2**64)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    (HERE / "in").mkdir(parents=True)
    (HERE / "out").mkdir()
    rng = np.random.default_rng(11)
    uids = [rng.bytes(16).hex() for _ in range(11)]
    uids[2] = "0" * 20 + uids[2][20:]  # leading zeros
    uids[7] = uids[1]  # one id twice in the pool
    for shard in range(2):
        with wds.TarWriter(str(HERE / f"in/{shard:08d}.tar"), mtime=1600000000) as sink:
            for i in range(shard * 6, min(shard * 6 + 6, 11)):
                record = {"uid": uids[i], "caption": f"caption {i}", "similarity": 0.25}
                sample = {
                    "__key__": f"{shard:05d}{i:04d}",
                    "jpg": rng.bytes(10 + 300 * (i % 3)),
                    "txt": f"caption {i}",
                    "json": json.dumps(record).encode(),
                }
                if i == 4:
                    del sample["json"]
                sink.write(sample)
    wanted = [uids[i] for i in (0, 1, 1, 2, 4, 5, 8, 8, 8, 10)] + ["f" * 32]
    ids = np.array(sorted(halves(u) for u in wanted), dtype=np.dtype("u8,u8"))
    np.save(HERE / "subset.npy", ids)
    ids.tofile(HERE / "subset.memmap")

    written, sink, sizes = 0, None, {}
    for path in sorted((HERE / "in").glob("*.tar")):
        for sample in wds.WebDataset(str(path), shardshuffle=False):
            if "json" not in sample:
                continue
            uid = json.loads(sample["json"])["uid"]
            key = np.array([halves(uid)], dtype=ids.dtype)
            copies = np.searchsorted(ids, key, "right")[0] - np.searchsorted(ids, key, "left")[0]
            for j in range(copies):
                if written % PER_SHARD == 0:
                    if sink:
                        sink.close()
                    name = f"{written // PER_SHARD:08d}.tar"
                    sink = wds.TarWriter(str(HERE / "out" / name), mtime=0, encoder=False)
                fields = {k: v for k, v in sample.items() if not k.startswith("__")}
                sink.write({"__key__": f"{uid}-{j}", **fields})
                sizes[name] = sizes.get(name, 0) + 1
                written += 1
    sink.close()
    for name, size in sizes.items():
        stats = HERE / "out" / name.replace(".tar", "_stats.json")
        stats.write_text(json.dumps({"successes": size}))
    (HERE / "out/sizes.json").write_text(json.dumps(sizes))
    np.save(HERE / "out/sample_ids.npy", ids)


if __name__ == "__main__":
    main()
