"""Everything that is not a plain array of float32 is either read right or refused by name."""

import threading

import curate
import numpy as np
import pytest
from conftest import unit

X = unit(400, 8)
EXPECTED = curate.kmeans(X, 6).centroids.tobytes()


def same(array, **options):
    return curate.kmeans(array, 6, **options).centroids.tobytes() == EXPECTED


def test_layouts_are_read_where_they_lie():
    assert same(np.asfortranarray(X))
    wide = np.zeros((800, 16), np.float32)
    wide[::2, ::2] = X
    assert same(wide[::2, ::2])
    assert same(X[::-1, ::-1].copy()[::-1, ::-1])
    fixed = X.copy()
    fixed.flags.writeable = False
    assert same(fixed) and not fixed.flags.writeable
    assert X.flags.writeable
    assert same(np.broadcast_to(X, (1, 400, 8))[0])


def test_other_precisions_are_rounded_once():
    assert same(X.astype(np.float64))
    half = X.astype(np.float16)
    widened = curate.kmeans(half.astype(np.float32), 6).centroids
    assert curate.kmeans(half, 6).centroids.tobytes() == widened.tobytes()
    assert same(X.tolist()) and same(tuple(map(tuple, X.tolist())))


def test_dlpack_is_read():
    class Tensor:
        def __dlpack__(self, **options):
            return X.__dlpack__(**options)

        def __dlpack_device__(self):
            return X.__dlpack_device__()

    assert same(Tensor())


def test_arrow_columns_of_vectors_are_read():
    pa = pytest.importorskip("pyarrow")
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 8)
    assert same(fixed)
    assert same(pa.chunked_array([fixed[:100], fixed[100:101], fixed[101:]]))
    assert same(pa.table({"id": list(range(400)), "vector": fixed}))
    assert same(fixed.cast(pa.list_(pa.float32()))) and same(fixed.cast(pa.large_list(pa.float64())))
    wide = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate([X[:3], X]).ravel()), 8)
    assert same(wide[3:])
    lacking = pa.array([[None] * 8, *X.tolist()], pa.list_(pa.float32()))
    assert same(lacking[1:])
    ids = np.arange(400)[::-1] + 5
    with_ids = curate.kmeans(X, 6, ids=ids).centroids.tobytes()
    assert curate.kmeans(X, 6, ids=pa.array(ids)).centroids.tobytes() == with_ids
    texts = pa.array([f"{i:032x}" for i in ids])
    assert curate.kmeans(X, 6, ids=texts).centroids.tobytes() == with_ids


def test_data_frames_are_read():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame({"uid": range(400), "vector": X}, schema_overrides={"vector": pl.Array(pl.Float32, 8)})
    assert same(frame) and same(frame["vector"])
    pd = pytest.importorskip("pandas")
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 8)
    assert same(pd.DataFrame({"vector": pd.Series(vectors, dtype=pd.ArrowDtype(vectors.type))}))
    result = curate.SemanticDedup(count=50).run(X, scores=pd.Series(np.arange(400.0)))
    expected = curate.SemanticDedup(count=50).run(X, scores=np.arange(400.0))
    assert np.array_equal(result.selected, expected.selected)


def test_queries_are_read(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 8)
    parquet.write_table(pa.table({"id": range(400), "vector": vectors}), tmp_path / "x.parquet")
    found = duckdb.sql(f"select id, vector from '{tmp_path}/x.parquet' order by id")
    assert same(found)
    assert same(found.select("vector"), ids=found.select("id").to_arrow_table()["id"])


def test_npy_files_are_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert same(tmp_path / "x.npy") and same(str(tmp_path / "x.npy"))
    with pytest.raises(curate.FileError, match="does not exist") as error:
        curate.kmeans(tmp_path / "y.npy", 2)
    assert error.value.kind == "NotFound" and error.value.path == tmp_path / "y.npy"
    assert isinstance(error.value, OSError)


class Strange:
    pass


ODD = np.frombuffer(b"x" + X.tobytes(), dtype=np.uint8)[1:].view(np.float32).reshape(400, 8)


@pytest.mark.parametrize(
    "bad, problem",
    [
        (X.astype(object), "an array of object"),
        (X.astype(">f4"), "byte order"),
        (X.astype(np.longdouble), "an array of float128|an array of longdouble"),
        (X.astype(complex), "an array of complex128"),
        ((X * 127).astype(np.int8), "an array of int8"),
        (X > 0, "an array of bool"),
        (X.astype("datetime64[s]"), "an array of datetime64"),
        (np.zeros(400, "f4,f4"), "an array of shape"),
        (np.ma.masked_array(X, mask=X > 0.9), "a masked array"),
        (X[0], r"an array of shape \(8,\)"),
        (X[None], r"an array of shape \(1, 400, 8\)"),
        (np.float32(1), r"an array of shape \(\)"),
        (ODD, "not aligned"),
        ([[1.0, 2.0], [3.0]], "cannot be read as an array"),
        ([["a", "b"]], "an array of <U1"),
        (None, r"an array of shape \(\)"),
        (Strange(), r"an array of shape \(\)"),
        (X * 3, "400 of 400 vectors do not have length 1"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(bad, problem):
    with pytest.raises(curate.InputError, match=problem) as error:
        curate.kmeans(bad, 6)
    assert error.value.argument == "X" and str(error.value).startswith("`X`: ")


def test_arrow_that_holds_no_vectors_is_refused_by_name():
    pa = pytest.importorskip("pyarrow")
    bad = {
        "holds no vectors": pa.array([1.0, 2.0]),
        "row 1 holds no vector": pa.array([[1.0, 0.0], None]),
        "row 2 has 1 numbers": pa.array([[1.0, 0.0], [0.0, 1.0], [1.0]]),
        "lacks a number": pa.array([[1.0, None]]),
        "vectors of Int64": pa.array([[1, 2]]),
        "no column of vectors \\(its columns: a\\).*X.to_numpy": pa.table({"a": [1]}),
        "several columns of vectors": pa.table({"a": [[1.0]], "b": [[1.0]]}),
    }
    for problem, column in bad.items():
        with pytest.raises(curate.InputError, match=problem) as error:
            curate.kmeans(column, 1)
        assert error.value.argument == "X"


@pytest.mark.parametrize(
    "argument, bad, problem",
    [
        ("ids", [1, 2], "2 ids for 400 rows"),
        ("ids", [7] * 400, "rows 0 and 1 have one id, 7"),
        ("ids", [f"{i % 399:x}" for i in range(400)], "rows 0 and 399 have one id"),
        ("ids", ["cat"] * 400, "`cat` is not a sample id.*curate.key_ids"),
        ("ids", np.arange(400) - 1, "-1 is no id"),
        ("ids", [1.5] * 400, "row 0 holds 1.5"),
        ("ids", [None] * 400, "row 0 holds None"),
        ("ids", np.arange(400).reshape(20, 20), r"an array of shape \(20, 20\)|row 0 holds"),
        ("ids", 3, "not iterable"),
        ("ids", set(range(400)), "set has no order"),
        ("ids", {row: 1 for row in range(400)}, "dict has no order"),
        ("ids", [b"ff"] * 400, "row 0 holds b'ff'"),
        ("ids", [2**128] * 400, "row 0 holds"),
        ("ids", np.ma.masked_array(np.arange(400)), "a masked array"),
        ("ids", np.arange(400).astype(">i8"), "byte order"),
        ("rows", [0, 400], "there is no row 400 among 400"),
        ("rows", [-1], "there is no row -1"),
        ("rows", [3, 3], "a row occurs twice"),
        ("rows", [0.5], "an array of float64"),
        ("rows", np.ones(399, bool), "a mask of 399 rows for 400"),
        ("norm", "l2", 'there is no "l2"'),
        ("progress", 3, "neither True, False nor callable"),
    ],
)
def test_other_arguments_are_refused_by_name(argument, bad, problem):
    with pytest.raises(curate.InputError, match=problem) as error:
        curate.kmeans(X, 6, **{argument: bad})
    assert error.value.argument == argument


@pytest.mark.parametrize(
    "bad, problem",
    [
        (np.arange(3.0), "3 numbers for 400 rows"),
        (["a"] * 400, "an array of <U1"),
        (np.ones((400, 1)), "an array of shape"),
        (np.ma.masked_array(np.ones(400)), "a masked array"),
    ],
)
def test_scores_are_refused_by_name(bad, problem):
    with pytest.raises(curate.InputError, match=problem) as error:
        curate.SemanticDedup().run(X, scores=bad)
    assert error.value.argument == "scores"


def test_ids_come_back_as_they_were_given():
    method = curate.SemanticDedup(count=3)
    numbers = method.run(X, ids=np.arange(400, dtype=np.uint16) + 7)
    assert numbers.selected_ids.dtype == np.uint64
    assert np.array_equal(numbers.selected_ids, numbers.selected + 7)
    digits = method.run(X, ids=[f"{row + 7:X}" for row in range(400)])
    assert digits.selected_ids == [f"{row + 7:032x}" for row in digits.selected]
    large = method.run(X, ids=[2**100 + row for row in range(400)])
    assert large.selected_ids == [2**100 + int(row) for row in large.selected]
    pairs = np.zeros(400, "u8,u8")
    pairs["f0"], pairs["f1"] = 1, np.arange(400)
    found = method.run(X, ids=pairs)
    assert found.selected_ids == [f"{2**64 + int(row):032x}" for row in found.selected]
    assert np.array_equal(method.run(X).selected_ids, method.run(X).selected)


def test_no_rows_and_one_row():
    empty = curate.SemanticDedup().run(np.zeros((0, 8), np.float32))
    assert len(empty) == 0 and empty.duplicate_ratio == 0 and len(empty.evidence) == 0
    assert curate.SemanticDedup().run(X[:1]).selected.tolist() == [0]
    assert curate.SemanticDedup().run(X, rows=[]).selected.tolist() == []


def test_an_array_cannot_be_changed_while_it_is_read():
    large = unit(40_000, 32)
    seen = []

    def write(*_):
        try:
            large[0] = 0
        except ValueError as error:
            seen.append(str(error))

    curate.kmeans(large, 50, iterations=3, progress=write)
    assert seen and "read-only" in seen[0]
    large[0] = 0  # and afterwards it can

    finished = threading.Event()
    def again(*_):
        if not finished.is_set():
            curate.kmeans(large, 3, iterations=1)
            finished.set()
            assert not large.flags.writeable

    curate.kmeans(large, 50, iterations=3, progress=again)
    assert finished.is_set() and large.flags.writeable


def test_a_stream_that_can_be_read_once_is_read_once():
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 8)
    table = pa.table({"vector": vectors})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=64))
    result = curate.SemanticDedup(count=50).run(reader, scores=np.arange(400.0))
    expected = curate.SemanticDedup(count=50).run(X, scores=np.arange(400.0))
    assert np.array_equal(result.selected, expected.selected)
