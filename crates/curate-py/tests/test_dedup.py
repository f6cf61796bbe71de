import pickle

import curate
import numpy as np
import pytest
from conftest import ROOT, unit


@pytest.fixture(scope="module")
def golden():
    return np.load(ROOT / "fixtures/dedup_prune/main_5000x64.npz")


def reference(X, labels, distances, ids):
    """SemDeDup as published: each row's largest cosine to a row that is farther from the centroid."""
    similarity, cause = np.zeros(len(X)), np.full(len(X), -1)
    for cluster in np.unique(labels):
        rows = np.flatnonzero(labels == cluster)
        rows = rows[np.lexsort((ids[rows], -distances[rows]))]
        cosines = np.triu(X[rows].astype(float) @ X[rows].astype(float).T, 1)
        similarity[rows] = np.maximum(cosines.max(0), 0)
        cause[rows] = np.where(cosines.max(0) > 0, rows[cosines.argmax(0)], -1)
    return similarity, cause


def test_every_epsilon_keeps_what_the_published_rule_keeps():
    X = unit(2000, 16, groups=300)
    result = curate.SemanticDedup(epsilon=0.02, clusters=12, seed=5).run(X)
    clusters = result.clusters
    similarity, cause = reference(X, clusters.labels, clusters.distances, np.arange(len(X)))
    np.testing.assert_allclose(result.similarities, similarity, atol=1e-6)
    assert (result.nearest == cause).mean() > 0.999
    for epsilon in (0.001, 0.02, 0.1, 0.5):
        view = result.rethreshold(epsilon)
        sure = np.abs(similarity - (1 - epsilon)) > 1e-6
        kept = np.isin(np.arange(len(X)), view.selected)
        assert np.array_equal(kept[sure], (similarity <= 1 - epsilon)[sure])
        assert view.epsilon == epsilon and view.threshold == np.float32(1 - epsilon)
        assert view.duplicate_ratio == pytest.approx(1 - len(view) / len(X))
        assert np.array_equal(np.sort(np.r_[view.selected, view.removed]), view.given)
    assert 0 < len(result.rethreshold(0.5)) < len(result) < len(X)


def test_the_published_codes_own_answers(golden):
    """What SemDeDup's code kept of 5,000 rows, on faiss's centroids: all but exact copies, of which rounding
    decided there which one stays."""
    X = golden["embeddings"]
    clusters = curate.assign(X, golden["centroids"])
    assert np.array_equal(clusters.labels, golden["assignment"])
    first = np.unique(X, axis=0, return_inverse=True)[1]
    for which in ("hard", "easy"):
        result = curate.SemanticDedup(preference=which).run(X, clusters=clusters)
        for epsilon in (0.001, 0.01, 0.05, 0.1, 0.2, 0.3):
            theirs = golden[f"keep_{which}_eps{epsilon}"]
            ours = result.rethreshold(epsilon).selected
            assert len(ours) == len(theirs)
            assert len(np.setdiff1d(ours, theirs)) <= 60
            assert np.array_equal(np.sort(first[ours]), np.sort(first[theirs]))


def test_a_count_keeps_exactly_so_many_and_a_fraction_its_share():
    X = unit(1000, 8)
    result = curate.SemanticDedup(count=300).run(X)
    assert len(result) == 300 and result.epsilon is None
    best = np.sort(np.lexsort((np.arange(1000), result.similarities))[:300])
    assert np.array_equal(result.selected, best)
    assert len(result.count(17)) == 17 and len(result.fraction(0.29)) == 290
    assert len(curate.SemanticDedup(fraction=0.29).run(X)) == 290


def test_every_removal_has_a_reason_and_no_row_that_stays_has_one():
    X = unit(600, 8, groups=40)
    X[7], X[9], X[11] = np.nan, 0, np.inf
    result = curate.SemanticDedup(epsilon=0.05, clusters=4).run(X, ids=np.arange(600) + 1000)
    for row in result.selected:
        assert result.cause(int(row)) is None
    for row in result.removed:
        reason = result.cause(int(row))
        assert reason.row == row and reason.id == str(row + 1000)
        if row not in (7, 9, 11):
            assert reason.rule == "semantic-duplicate" and reason.value > reason.threshold
            assert result.similarities[row] == np.float32(reason.value)
            assert reason.cause == result.nearest[row] and reason.cluster is not None
            assert reason.cause_id == str(reason.cause + 1000)
    rules = {7: "embedding-nan", 9: "embedding-zero", 11: "embedding-infinite"}
    assert {row: result.cause(row).rule for row in rules} == rules
    assert result.faulty.tolist() == [7, 9, 11]
    assert sum(result.rules.values()) == len(result.removed) == len(result.evidence)
    assert str(result.cause(9)) == "row 9: embedding-zero, 0"
    with pytest.raises(curate.InputError, match="row 600 is not among the 600 rows"):
        result.cause(600)


def test_groups_hold_the_rows_that_went_for_one_that_stays():
    X = np.repeat(unit(5, 32), [1, 2, 3, 4, 5], axis=0)
    result = curate.SemanticDedup(epsilon=0.01, clusters=1).run(X)
    groups = result.groups(3)
    assert [len(group) for group in groups] == [5, 4, 3]
    assert sorted([groups[0].kept, *groups[0].duplicates]) == [10, 11, 12, 13, 14]
    assert all(group.kept in result for group in groups)
    assert sum(len(group.duplicates) for group in result.groups(99)) == len(result.removed)


def test_scores_decide_which_duplicate_stays_and_clusters_can_be_given():
    X = np.repeat(unit(20, 16), 2, axis=0)
    scores = np.arange(40)[::-1].copy()
    clusters = curate.kmeans(X, 3)
    result = curate.SemanticDedup(epsilon=0.01).run(X, scores=scores, clusters=clusters)
    assert result.selected.tolist() == list(range(0, 40, 2))
    assert np.array_equal(result.clusters.labels, clusters.labels)
    collapsed = curate.SemanticDedup(exact_copies="collapse").run(X)
    assert collapsed.exact_duplicate_ratio == 0.5
    assert collapsed.cause(1).rule == "exact-duplicate" and collapsed.cause(1).cause == 0


def test_one_selection_goes_into_the_next_method():
    X = unit(400, 8)
    first = curate.SemanticDedup(count=200).run(X)
    second = curate.SemanticDedup(count=50).run(X, rows=first.selected)
    assert np.isin(second.selected, first.selected).all() and len(second.given) == 200
    mask = np.isin(np.arange(400), first.selected)
    assert np.array_equal(curate.SemanticDedup(count=50).run(X, rows=mask).selected, second.selected)


def test_greedy_holds_for_its_epsilon_alone():
    greedy = curate.SemanticDedup(epsilon=0.1, mode="greedy").run(unit(100, 4))
    with pytest.raises(curate.CurateError, match="own epsilon 0.1 alone"):
        greedy.rethreshold(0.2)
    with pytest.raises(curate.InputError, match="`mode`"):
        curate.SemanticDedup(fraction=0.5, mode="greedy")


def test_parameters_and_results_are_pickled():
    method = curate.SemanticDedup(epsilon=0.2, clusters=7, probes=2, seed=3)
    assert pickle.loads(pickle.dumps(method)) == method != curate.SemanticDedup()
    assert repr(method) == (
        "SemanticDedup(epsilon=0.2, preference='hard', clusters=7, probes=2, seed=3)"
    )
    result = method.run(unit(300, 6), ids=[f"{row:x}" for row in range(300)])
    again = pickle.loads(pickle.dumps(result))
    assert np.array_equal(again.rethreshold(0.3).selected, result.rethreshold(0.3).selected)
    assert again.selected_ids == result.selected_ids and again.epsilon == 0.2
    assert again.evidence.to_dict() == result.evidence.to_dict()
    assert again.recall() == result.recall() is not None


def test_parameters_out_of_range_are_refused():
    with pytest.raises(curate.ParamsError, match="`epsilon` is 2.5, but must be a number from 0 to 1"):
        curate.SemanticDedup(epsilon=2.5)
    for bad in (float("nan"), -0.1):
        with pytest.raises(curate.ParamsError, match="`epsilon`"):
            curate.SemanticDedup(epsilon=bad)
    with pytest.raises(curate.InputError, match="give one way"):
        curate.SemanticDedup(epsilon=0.1, count=3)
    with pytest.raises(curate.ParamsError, match="`clusters` is 0"):
        curate.SemanticDedup(clusters=0)


def test_the_same_bytes_as_the_program(program, tmp_path):
    X = unit(3000, 24, groups=400)
    X[5] = np.nan
    np.save(tmp_path / "vectors.npy", X)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"""
        seed = 11
        [pool]
        path = "{tmp_path / "vectors.npy"}"
        [[stage]]
        kind = "semantic-dedup"
        embedding = "embedding"
        epsilon = 0.03
        """
    )
    program("run", recipe, "--out", tmp_path / "run")
    ids = curate.Pool(tmp_path / "vectors.npy").ids
    result = curate.SemanticDedup(epsilon=0.03, seed=11).run(X, ids=ids)
    result.write(tmp_path / "subset.npy")
    assert (tmp_path / "subset.npy").read_bytes() == (tmp_path / "run/subset.npy").read_bytes()
    stage = next((tmp_path / "run/stages").iterdir())
    result.clusters.save(tmp_path / "centroids.npy")
    assert (tmp_path / "centroids.npy").read_bytes() == (stage / "centroids.npy").read_bytes()
    parquet = pytest.importorskip("pyarrow.parquet")
    theirs = parquet.read_table(tmp_path / "run/evidence.parquet").drop_columns(["stage"])
    ours = result.evidence.to_pyarrow()
    assert len(ours) > 100
    assert ours.to_pylist() == theirs.to_pylist() and ours.column_names == theirs.column_names
