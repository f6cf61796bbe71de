"""Writes scores/: metadata tables whose scores and ids have the types that other writers give them, and
scores/expected.json with the ids that DataComp's rule keeps, by pandas and numpy.

    pip install numpy pandas pyarrow
    python3 make_scores.py

The rule is written down from DataComp's documented behavior: a fraction's threshold is the score at
place int(N * fraction) of all scores sorted from the top, a NaN last, and rows of at least the threshold
stay. Decimals are compared as the floats that they are nearest to, flags and dates as integers.
"""

import decimal
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "scores"
SCORE = "clip_l14_similarity_score"
N = 8


def uid(i):
    return hashlib.md5(b"%d" % i).hexdigest()


def plain(scores):
    """The scores as numpy compares them."""
    if pa.types.is_dictionary(scores.type):
        scores = scores.dictionary_decode()
    if pa.types.is_decimal(scores.type) or pa.types.is_null(scores.type):
        return np.array([np.nan if x is None else float(x) for x in scores.to_pylist()])
    if pa.types.is_boolean(scores.type):
        return np.array([np.nan if x is None else float(x) for x in scores.to_pylist()])
    if pa.types.is_temporal(scores.type):
        return np.array(scores.cast(pa.int64()).to_pylist(), dtype="f8")
    return scores.to_numpy(zero_copy_only=False)


def keep(tables, fraction, threshold):
    if fraction is not None:
        scores = np.concatenate([plain(t[SCORE].combine_chunks()) for t in tables])
        threshold = -np.sort(-scores)[int(len(scores) * fraction)]
    kept = []
    for t in tables:
        frame = pd.DataFrame({"uid": t["uid"].to_pylist(), "score": plain(t[SCORE].combine_chunks())})
        kept += frame.uid[frame.score >= threshold].to_list()
    text = lambda u: u if isinstance(u, str) else u.hex() if len(u) == 16 else u.decode()
    return sorted(text(u) for u in kept)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    D, inf, nan = decimal.Decimal, np.inf, np.nan
    steps = [x / 10 for x in range(N)]
    text = [uid(i) for i in range(N)]
    raw = [bytes.fromhex(u) for u in text]
    ids = {
        "ascii": pa.array([u.encode() for u in text]),
        "fixed": pa.array([u.encode() for u in text], pa.binary(32)),
        "raw": pa.array(raw, pa.binary(16)),
        "large": pa.array(text, pa.large_string()),
        "view": pa.array(text, pa.string_view()),
        "dictionary_ids": pa.array(text).dictionary_encode(),
    }
    columns = {
        "decimal": pa.array([D(f"{x:.4f}") for x in steps], pa.decimal128(10, 4)),
        "decimal256": pa.array([D(f"{x:.4f}") for x in steps], pa.decimal256(50, 20)),
        "half": pa.array(np.array(steps, "f2")),
        "single": pa.array(np.array(steps, "f4")),
        "double": pa.array(steps),
        "dictionary": pa.array(steps).dictionary_encode(),
        "flags": pa.array([x > 0.3 for x in steps]),
        "moments": pa.array([1_700_000_000 + 10 * i for i in range(N)], pa.timestamp("s")),
        "whole": pa.array([1_700_000_000 + 10 * i for i in range(N)]),
        "none": pa.nulls(N),
    }
    tables = {name: [{"uid": pa.array(text), SCORE: column}] for name, column in columns.items()}
    tables |= {name: [{"uid": column, SCORE: pa.array(steps)}] for name, column in ids.items()}
    tables["infinite"] = [{"uid": pa.array(text[:3]), SCORE: pa.array([inf, nan, nan])}]
    tables["all_nan"] = [{"uid": pa.array(text[:3]), SCORE: pa.array([nan, nan, nan])}]
    tables["empty_part"] = [{"uid": pa.array(text), SCORE: pa.array(np.array(steps, "f4"))},
                            {"uid": pa.nulls(0), SCORE: pa.nulls(0)}]
    cases = []
    for name, parts in tables.items():
        parts = [pa.table({**part, "text": pa.array(["x"] * len(part["uid"]))}) for part in parts]
        (HERE / name / "metadata").mkdir(parents=True)
        for i, part in enumerate(parts):
            pq.write_table(part, HERE / name / f"metadata/{i}.parquet", compression="brotli")
        # As they are read: Parquet has no seconds, so that those become milliseconds.
        parts = [pq.read_table(HERE / name / f"metadata/{i}.parquet") for i in range(len(parts))]
        least = {"moments": [1_700_000_020_000.0], "whole": [1_700_000_020.0]}.get(name, [0.1, 0.3, 0.4])
        asked = [(None, t) for t in least] + [(f, None) for f in (0.3, 0.9, 0.0)]
        for fraction, threshold in asked:
            kept = keep(parts, fraction, threshold)
            cases.append({"folder": name, "fraction": fraction, "threshold": threshold, "kept": kept})
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "expected.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
