"""Writes arrays/: Parquet, npy and npz files of every type that holds numbers, texts, ids or vectors, and
arrays/cases.json with what pyarrow and numpy read from them.

    pip install numpy pyarrow
    python3 make_arrays.py
    python3 make_arrays.py --cases 2000 --seed 7 --out DIR   # a longer run of other cases

The test `arrays` reads the committed folder, or the one named in CURATE_FUZZ_DIR. Numbers in cases.json
are texts, as Python prints them: a JSON reader may round. A vector that is no usable one is null.
"""

import argparse
import datetime
import decimal
import json
import random
import shutil
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent / "arrays"
CODECS = ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]
NAMES = ["score", "clip.l14", "a.b.c", ".", "x ", "größe", "a`b", "", "list.element", "a\"b", "日本"]


# What the tools read.


def text_of(x):
    return repr(float(x))


def numbers_of(column):
    """Every number of a column in double precision, a gap as NaN; dates and times as pyarrow casts them
    to integers."""
    column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    t = column.type
    if pa.types.is_date32(t) or pa.types.is_time32(t):
        column = column.cast(pa.int32())
    elif pa.types.is_temporal(t):
        column = column.cast(pa.int64())
    return [text_of("nan" if x is None else x) for x in column.to_pylist()]


def texts_of(column):
    decoded = (x.decode() if isinstance(x, bytes) else x for x in column.to_pylist())
    return list(decoded)


def uids_of(column):
    def uid(x):
        if isinstance(x, uuid.UUID):
            return x.hex
        if isinstance(x, bytes):
            return x.hex() if len(x) == 16 else x.decode()
        return x

    return [uid(x) for x in column.to_pylist()]


def names_of(column):
    return [None if x is None else str(x) for x in column.to_pylist()]


def flat(row):
    """The numbers of a row, None for a row without a vector."""
    if row is None:
        return None
    if row and any(isinstance(x, list) or x is None for x in row):
        if any(isinstance(x, list) for x in row):
            if any(x is None for x in row):
                return None
            parts = [flat(x) for x in row]
            return None if None in parts else sum(parts, [])
    return ["nan" if x is None else x for x in row]


def depth(t):
    return 1 + depth(t.value_type) if hasattr(t, "value_type") and not pa.types.is_dictionary(t) else 0


def vectors_of(column):
    rows = [flat(row) for row in column.to_pylist()]
    if depth(column.type) > 1:  # a list of nothing but gaps is one of gaps, not of NaN
        gap = [row is not None and any(x is None for x in row) for row in column.to_pylist()]
        rows = [None if g else row for g, row in zip(gap, rows)]
    counts = Counter(len(row) for row in rows if row)
    if not counts:
        return None
    width = counts.most_common(1)[0][0]  # of equals the first
    with np.errstate(over="ignore"):
        single = lambda x: text_of(np.float32(float(x)) if not isinstance(x, int) else np.array(x).astype("f4"))
        return [[single(x) for x in row] if row and len(row) == width else None for row in rows]


READ = {"numbers": numbers_of, "texts": texts_of, "uids": uids_of, "names": names_of, "vectors": vectors_of}


def case_of(file, what):
    """What a Parquet file's columns hold: `what` says for each as what it is asked for."""
    file_read = pq.ParquetFile(file)
    table = file_read.read()
    if table.num_rows != file_read.metadata.num_rows:
        return None  # pyarrow 26 loses rows of its own lists of lists in the smallest pages
    columns = []
    for i, (name, kind) in enumerate(what):
        column = {"name": name}
        if isinstance(kind, str):
            column[kind] = READ[kind](table.column(i))
            if column[kind] is None and table.num_rows == 0:
                column[kind] = []
            if column[kind] is None:
                column = {"name": name, "refused": ["vectors", "not one vector"]}
        else:
            column["refused"] = kind
        columns.append(column)
    return {"file": file.name, "rows": table.num_rows, "columns": columns}


# Columns.


def gaps(r, values, share):
    return [None if r.random() < share else x for x in values]


def decimals(r, n):
    precision = r.choice([5, 9, 18, 30, 38, 50, 76])
    scale = r.randint(0, precision)
    make = pa.decimal256 if precision > 38 or r.random() < 0.2 else pa.decimal128
    digits = lambda: r.randint(-(10 ** r.randint(1, precision)) + 1, 10 ** r.randint(1, precision) - 1)
    with decimal.localcontext() as context:
        context.prec = 80
        values = [decimal.Decimal(digits()).scaleb(-scale) for _ in range(n)]
    t = make(precision, scale)
    if precision <= 18 and r.random() < 0.4 and hasattr(pa, "decimal64"):
        t = (pa.decimal32 if precision <= 9 else pa.decimal64)(precision, scale)
    return values, t


def number_column(r, n):
    kind = r.choice(["float", "int", "decimal", "bool", "date", "time", "timestamp", "duration", "null"])
    if kind == "float":
        t = r.choice([pa.float16(), pa.float32(), pa.float64()])
        special = [float("nan"), float("inf"), -float("inf"), -0.0]
        values = [r.choice(special) if r.random() < 0.1 else r.gauss(0, 1) for _ in range(n)]
        values = np.array(values, dtype=t.to_pandas_dtype()).tolist()
        if t == pa.float16():
            values = [np.float16(x) for x in values]
    elif kind == "int":
        bits, unsigned = r.choice([8, 16, 32, 64]), r.random() < 0.5
        t = getattr(pa, f"{'u' if unsigned else ''}int{bits}")()
        low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        values = [r.choice([low, high, r.randint(low, high)]) for _ in range(n)]
    elif kind == "decimal":
        values, t = decimals(r, n)
    elif kind == "bool":
        t, values = pa.bool_(), [r.random() < 0.5 for _ in range(n)]
    elif kind == "null":
        return pa.nulls(n)
    else:
        t = {
            "date": r.choice([pa.date32(), pa.date64()]),
            "time": r.choice([pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]),
            "timestamp": pa.timestamp(r.choice(["s", "ms", "us", "ns"]), r.choice([None, "UTC", "Europe/Rome"])),
            "duration": pa.duration(r.choice(["s", "ms", "us", "ns"])),
        }[kind]
        if t == pa.date64():
            values = [86_400_000 * r.randint(-20_000, 20_000) for _ in range(n)]
        else:
            day = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}.get(getattr(t, "unit", ""), 1) * 86_400
            values = [r.randint(0, day - 1) if kind == "time" else r.randint(-9000, 9000) * day // 7 for _ in range(n)]
        small = kind == "date" and t == pa.date32() or pa.types.is_time32(t)
        stored = pa.array(gaps(r, values, r.choice([0, 0.2])), pa.int32() if small else pa.int64())
        return stored.cast(t)
    array = pa.array(gaps(r, values, r.choice([0, 0, 0.2, 1])), t)
    dictionaries = kind in ("float", "int") and t != pa.float16()
    return array.dictionary_encode() if dictionaries and r.random() < 0.3 else array


TEXTS = ["", "a", "a photo of a cat", "größe", "日本語の説明", "more than twelve bytes of text", "line\nline", "\U0001f600"]


def text_column(r, n):
    values = gaps(r, [r.choice(TEXTS) + str(r.randint(0, 99)) for _ in range(n)], r.choice([0, 0.2]))
    t = r.choice([pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.large_binary(),
                  pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.large_string()), pa.null()])
    if t == pa.null():
        return pa.nulls(n)
    if pa.types.is_dictionary(t):
        return pa.array(values, t.value_type).dictionary_encode()
    return pa.array([x if x is None or not pa.types.is_binary(t) else x.encode() for x in values], t)


def uid_column(r, n):
    raw = [r.randbytes(16) for _ in range(n)]
    kind = r.choice(["text", "ascii", "raw", "uuid"])
    if kind == "text":
        t = r.choice([pa.string(), pa.large_string(), pa.string_view()])
        array = pa.array(gaps(r, [x.hex() for x in raw], 0.1), t)
        return array.dictionary_encode() if t == pa.string() and r.random() < 0.3 else array
    if kind == "ascii":
        t = r.choice([pa.binary(), pa.large_binary(), pa.binary(32)])
        return pa.array(gaps(r, [x.hex().encode() for x in raw], 0.1), t)
    stored = pa.array(gaps(r, raw, 0.1), pa.binary(16))
    if kind == "uuid":
        return pa.ExtensionArray.from_storage(pa.uuid(), stored)
    return stored if r.random() < 0.5 else pa.array(stored.to_pylist(), r.choice([pa.binary(), pa.large_binary()]))


def name_column(r, n):
    t = r.choice([pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint32(), pa.uint64(), pa.string()])
    if t == pa.string():
        return pa.array(gaps(r, [r.choice(TEXTS) for _ in range(n)], 0.1), t)
    array = pa.array(gaps(r, [r.randint(0, 127) for _ in range(n)], 0.1), t)
    return array.dictionary_encode() if r.random() < 0.3 else array


def vector_column(r, n):
    width = r.randint(1, 6)
    t = r.choice([pa.float16(), pa.float32(), pa.float64(), pa.float32(), pa.int8(), pa.uint8(), pa.int64()])
    one = {"h": lambda: np.float16(r.gauss(0, 1)), "f": lambda: r.gauss(0, 1), "d": lambda: r.gauss(0, 1)}
    number = one.get(str(t)[0] if t != pa.float16() else "h", lambda: r.randint(0, 120))
    row = lambda: [None if r.random() < 0.02 else number() for _ in range(width)]
    rows = [row() for _ in range(n)]
    shape = r.choice(["list", "view", "large", "fixed", "nested", "nested", "fixed in list", "list in fixed"])
    inner = {"list": pa.list_(t), "view": pa.list_view(t), "large": pa.large_list(t), "fixed": pa.list_(t, width), "nested": pa.list_(pa.list_(t)),
             "fixed in list": pa.list_(pa.list_(t, width)), "list in fixed": pa.list_(pa.list_(t), 2)}[shape]
    if shape in ("list", "view", "large"):
        rows = [x[: r.randint(0, width)] if r.random() < 0.1 else x for x in rows]
    if shape in ("nested", "fixed in list"):
        rows = [[x] if r.random() < 0.8 else r.choice([[], [x, x], [None], [x, None]]) for x in rows]
    if shape == "list in fixed":
        rows = [[x, x] if r.random() < 0.9 else [x, None] for x in rows]
    return pa.array(gaps(r, rows, r.choice([0, 0.1, 0.1, 1])), inner)


def other_column(r, n):
    t, said = r.choice([
        (pa.struct([("l14", pa.float32())]), "Struct"),
        (pa.map_(pa.string(), pa.int32()), "Map"),
        (pa.string(), "Utf8"),
    ])
    value = {"Struct": {"l14": 0.5}, "Map": [("a", 1)], "Utf8": "0.5"}[said]
    return pa.array(gaps(r, [value] * n, 0.1), t), ["numbers", f"holds {said}"]


KINDS = {"numbers": number_column, "texts": text_column, "uids": uid_column, "names": name_column, "vectors": vector_column}


def options(r):
    o = {
        "compression": r.choice(CODECS),
        "use_dictionary": r.random() < 0.6,
        "row_group_size": r.choice([1, 3, 7, 100, 1000]),
        "data_page_size": r.choice([1, 64, 1 << 20]),
        "write_batch_size": r.choice([1, 5, 1024]),
        "data_page_version": r.choice(["1.0", "2.0"]),
        "version": r.choice(["1.0", "2.4", "2.6"]),
        "store_schema": r.random() < 0.7,
        "write_statistics": r.random() < 0.5,
        "write_page_index": r.random() < 0.3,
        "write_page_checksum": r.random() < 0.3,
        "store_decimal_as_integer": r.random() < 0.3,
        "use_byte_stream_split": False,
    }
    if r.random() < 0.1:
        o["use_deprecated_int96_timestamps"] = True
    if not o["use_dictionary"] and r.random() < 0.3:
        o["use_byte_stream_split"] = True
    return o


def random_table(r, file):
    n = r.choice([0, 1, 2, 5, 17, 40])
    columns, names, what = [], [], []
    for i in range(r.randint(1, 4)):
        kind = r.choice([*KINDS, "numbers", "vectors", "other"])
        name = r.choice(NAMES) if r.random() < 0.5 else f"c{i}"
        array, asked = other_column(r, n) if kind == "other" else (KINDS[kind](r, n), kind)
        columns.append(array), names.append(name), what.append((name, asked))
    again = [(name, ["numbers", "columns of the name"]) if names.count(name) > 1 else (name, asked) for name, asked in what]
    table = pa.Table.from_arrays(columns, names=names)
    for _ in range(9):
        try:
            pq.write_table(table, file, **options(r))
            return case_of(file, again)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, NotImplementedError, OSError):
            continue
    return None


# Arrays.

NUMBERS = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
OTHERS = {"c8": "c8", "U3": "U3", "S4": "S4", "M8[s]": "M8", "O": "O"}


def array_of(r):
    """An array and what is said of it: its numbers in single precision, or why it is none of vectors."""
    shape = r.choice([(r.randint(1, 9), r.randint(1, 5))] * 5 + [(), (3,), (2, 2, 2)])
    kind = r.choice(NUMBERS) if r.random() < 0.85 else r.choice(list(OTHERS))
    g = np.random.default_rng(r.randint(0, 2**32))
    array = g.standard_normal(shape) * 100 if kind[0] != "u" else g.integers(0, 2**63, shape) * 2
    if kind[0] in "iu":
        array = np.asarray(array).astype("i8" if kind[0] == "i" else "u8")
    with np.errstate(invalid="ignore"):
        array = np.asarray(array, dtype=object) if kind == "O" else np.asarray(array).astype(kind)
    if kind[0] in "fiu" and kind not in ("U3",) and kind[1:] != "1" and r.random() < 0.3:
        array = array.astype(">" + kind)
    if r.random() < 0.4:
        array = np.asfortranarray(array)
    if len(shape) != 2:
        return array, {"refused": "has the shape"}
    if kind in OTHERS:
        return array, {"refused": OTHERS[kind]}
    with np.errstate(over="ignore"):
        single = array.astype("f4")
    return array, {"vectors": [[text_of(x) for x in row] for row in single.tolist()]}


def random_arrays(r, file):
    if r.random() < 0.4:
        array, said = array_of(r)
        np.save(file.with_suffix(".npy"), array, allow_pickle=True)
        return {"file": file.with_suffix(".npy").name, "arrays": [{"name": "", **said}]}
    found = {r.choice(["img", "b32_img", "größe", "a.b", "x y"]): array_of(r) for _ in range(r.randint(1, 4))}
    save = r.choice([np.savez, np.savez_compressed])
    save(file.with_suffix(".npz"), **{name: array for name, (array, _) in found.items()})
    return {"file": file.with_suffix(".npz").name, "arrays": [{"name": n, **said} for n, (_, said) in found.items()]}


# Cases that were reported, each by its name.


def named(folder):
    D = decimal.Decimal
    scores = [D("0.4"), D("-0.28"), None, D("0.3")]
    moment = [datetime.datetime(2023, 11, 14, 22, 13, 20), None, datetime.datetime(1969, 12, 31), datetime.datetime(2024, 2, 29)]
    x = [[0.5, -1.0], [0.25, 2.0], [], None, [1.0], [3.0, 4.0]]
    six = ["%032x" % i for i in range(6)]
    tables = {
        "decimals": [("a", "numbers", pa.array(scores, pa.decimal128(10, 4))), ("b", "numbers", pa.array(scores, pa.decimal256(60, 30)))],
        "times": [("date", "numbers", pa.array([m and m.date() for m in moment])),
                  ("s", "numbers", pa.array(moment, pa.timestamp("s"))), ("us", "numbers", pa.array(moment, pa.timestamp("us", "Asia/Tokyo"))),
                  ("for", "numbers", pa.array([m and m - datetime.datetime(1970, 1, 1) for m in moment], pa.duration("ms")))],
        "flags": [("flag", "numbers", pa.array([True, None, False])), ("none", "numbers", pa.nulls(3)), ("none too", "texts", pa.nulls(3))],
        "dictionary": [("numbers", "numbers", pa.array([0.5, 0.25, 0.5, None]).dictionary_encode()),
                       ("halves", "numbers", pa.array(np.array([0.5, 2, 1, 0], "f2")))],
        "digits": [("digits", ["numbers", "holds Utf8"], pa.array(["0.5"])), ("list", ["numbers", "holds List"], pa.array([[0.5]]))],
        "dots": [("clip.l14", "numbers", pa.array([0.5, 0.25])), ("clip", ["numbers", "holds Struct"], pa.array([{"l14": 1.0}] * 2)), ("l14", "numbers", pa.array([2.0, 4.0]))],
        "twice": [("a", ["numbers", "2 columns of the name `a`"], pa.array([1.0])), ("a", ["texts", "2 columns of the name `a`"], pa.array(["x"])), ("b", "numbers", pa.array([2.0]))],
        "uids": [("text", "uids", pa.array(six)), ("large", "uids", pa.array(six, pa.large_string())), ("view", "uids", pa.array(six, pa.string_view())),
                 ("ascii", "uids", pa.array([u.encode() for u in six])), ("fixed", "uids", pa.array([u.encode() for u in six], pa.binary(32))),
                 ("raw", "uids", pa.array([bytes.fromhex(u) for u in six], pa.binary(16))),
                 ("uuid", "uids", pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes.fromhex(u) for u in six], pa.binary(16))))],
        "lists": [("list", "vectors", pa.array(x, pa.list_(pa.float32()))), ("first short", "vectors", pa.array([[9.0], *x[:5]], pa.large_list(pa.float64()))),
                  ("nested", "vectors", pa.array([x and [x] for x in x], pa.list_(pa.list_(pa.float32())))),
                  ("fixed", "vectors", pa.array([[1.0, 2.0]] * 6, pa.list_(pa.float64(), 2))), ("whole", "vectors", pa.array([[1, 2]] * 6, pa.list_(pa.int8(), 2))),
                  ("halves", "vectors", pa.array([[np.float16(1), np.float16(0.5)]] * 6, pa.list_(pa.float16()))), ("empty", "vectors", pa.array([[]] * 6, pa.list_(pa.float32()))),
                  ("view", "vectors", pa.array(x, pa.list_view(pa.float32()))), ("large view", "vectors", pa.array(x, pa.large_list_view(pa.float64())))],
    }
    cases = []
    for name, columns in tables.items():
        table = pa.Table.from_arrays([c[2] for c in columns], names=[c[0] for c in columns])
        file = folder / f"{name}.parquet"
        pq.write_table(table, file)
        cases.append(case_of(file, [c[:2] for c in columns]))
    for codec in CODECS:
        file = folder / f"{codec}.parquet"
        pq.write_table(pa.table({"x": [1.0, 2.0] * 20, "t": ["a", "b"] * 20}), file, compression=codec)
        cases.append(case_of(file, [("x", "numbers"), ("t", "texts")]))
    return cases


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cases", type=int)
    p.add_argument("--seed", type=int, default=15)
    p.add_argument("--out", type=Path, default=HERE)
    a = p.parse_args()
    shutil.rmtree(a.out, ignore_errors=True)
    a.out.mkdir(parents=True)
    cases = [] if a.cases else named(a.out)
    for i in range(a.cases or 60):
        r = random.Random(f"{a.seed} {i}")
        make = random_arrays if r.random() < 0.3 else random_table
        cases.append(make(r, a.out / f"{i:05}{'.parquet' if make is random_table else ''}"))
    cases = [case for case in cases if case]
    (a.out / "cases.json").write_text("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
    print(len(cases), "cases in", a.out)


if __name__ == "__main__":
    main()
