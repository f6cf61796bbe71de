import pickle

import curate
import numpy as np
import pytest
from conftest import unit


def test_kmeans_is_a_fixed_point_of_lloyds_iteration():
    X = unit(3000, 16, groups=20)
    found = curate.kmeans(X, 20, seed=3, iterations=200, tolerance=0)
    assert found.converged and found.k == len(found) == 20
    labels, centroids = found.labels, found.centroids
    assert np.array_equal(labels, np.argmax(X.astype(float) @ centroids.T.astype(float), axis=1))
    sums = np.zeros((20, 16))
    np.add.at(sums, labels, X.astype(float))
    means = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(centroids, means, atol=1e-6)
    assert found.sizes.tolist() == np.bincount(labels, minlength=20).tolist()
    distance = 1 - np.einsum("ij,ij->i", X.astype(float), centroids[labels].astype(float))
    np.testing.assert_allclose(found.distances, distance, atol=1e-6)
    assert found.inertia == pytest.approx(distance.sum(), rel=1e-5)


def test_euclidean_inertia_is_scikit_learns():
    X = np.random.default_rng(1).normal(size=(2000, 8)).astype(np.float32)
    found = curate.kmeans(X, 7, metric="euclidean", iterations=300, tolerance=0)
    squares = ((X[:, None].astype(float) - found.centroids[None].astype(float)) ** 2).sum(-1)
    assert np.array_equal(found.labels, squares.argmin(1))
    assert found.inertia == pytest.approx(squares.min(1).sum(), rel=1e-5)
    sklearn = pytest.importorskip("sklearn.cluster")
    theirs = sklearn.KMeans(7, init=found.centroids, n_init=1, max_iter=1).fit(X)
    assert theirs.inertia_ == pytest.approx(found.inertia, rel=1e-4)


def test_predict_finds_the_clusters_of_the_rows_and_of_no_bad_row():
    X = unit(500, 8)
    X[3] = np.nan
    found = curate.kmeans(X, 9)
    assert found.labels[3] == -1 and 3 not in found.rows
    assert np.array_equal(found.predict(X), found.labels)
    assert np.array_equal(found.predict(X * np.float32(3.5)), found.labels)


def test_the_same_bytes_for_any_number_of_threads():
    X = unit(20_000, 12)
    before = curate.threads()
    found = []
    for threads in (1, 3):
        curate.set_threads(threads)
        assert curate.threads() == threads
        found.append(curate.kmeans(X, 30, iterations=5).centroids.tobytes())
    curate.set_threads(None)
    assert curate.threads() == before
    assert found[0] == found[1]
    with pytest.raises(curate.ParamsError, match="`threads` is 4000, but must be from 1 to 512"):
        curate.set_threads(4000)


def test_pickles_hold_everything():
    found = curate.kmeans(unit(300, 8), 5)
    again = pickle.loads(pickle.dumps(found))
    assert again.centroids.tobytes() == found.centroids.tobytes()
    assert np.array_equal(again.labels, found.labels) and again.inertia == found.inertia


def test_all_violations_are_named_at_once():
    with pytest.raises(curate.ParamsError) as error:
        curate.kmeans(unit(10, 2), 0, tolerance=2.0)
    assert [field for field, _, _ in error.value.violations] == ["clusters", "tolerance"]
    assert isinstance(error.value, ValueError) and isinstance(error.value, curate.CurateError)
    with pytest.raises(curate.InputError, match='`metric`: there is no "cosine": give "spherical" or'):
        curate.kmeans(unit(10, 2), 2, metric="cosine")
    with pytest.raises(curate.CurateError, match="30 clusters need at least as many rows"):
        curate.kmeans(unit(10, 2), 30)
