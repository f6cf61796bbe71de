import pickle

import curate
import numpy as np
import pytest
from conftest import unit


def test_quotas_sum_exactly_and_complex_concepts_keep_more():
    random = np.random.default_rng(0)
    tight = np.array([1, 0, 0, 0]) + 0.01 * random.normal(size=(200, 4))
    wide = np.array([0, 1, 0, 0]) + 0.5 * random.normal(size=(200, 4))
    X = np.concatenate([tight, wide])
    X = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    result = curate.ConceptPrune(fraction=0.5, clusters=2, seed=1).run(X)
    assert len(result) == 200 == result.counts.sum()
    labels, complexity = result.clusters.labels, result.complexity
    assert result.counts[labels[300]] > result.counts[labels[0]]
    assert complexity[labels[300]] > complexity[labels[0]]
    kept = np.bincount(labels[result.selected], minlength=2)
    assert np.array_equal(kept, result.counts)
    quotas = result.quotas.to_dict()
    assert quotas["quota"] == result.counts.tolist() and quotas["size"] == np.bincount(labels).tolist()
    share = np.exp(complexity / 0.1) / np.exp(complexity / 0.1).sum()
    np.testing.assert_allclose(quotas["share"], share, rtol=1e-9)


def test_rows_far_from_their_centroid_stay_first():
    X = unit(500, 8)
    result = curate.ConceptPrune(count=120, clusters=5).run(X)
    labels, distances = result.clusters.labels, result.clusters.distances
    for cluster in range(5):
        rows = np.flatnonzero(labels == cluster)
        order = rows[np.lexsort((rows, -distances[rows]))]
        expected = np.sort(order[: result.counts[cluster]])
        assert np.array_equal(result.selected[labels[result.selected] == cluster], expected)
    gone = int(result.removed[0])
    reason = result.cause(gone)
    assert reason.rule == "concept-quota" and reason.value > reason.threshold
    assert reason.threshold == result.counts[labels[gone]] and reason.cluster == labels[gone]


def test_another_number_is_a_view_and_clusters_of_a_deduplication_are_taken():
    X = unit(600, 8, groups=60)
    dedup = curate.SemanticDedup(epsilon=0.02, clusters=6).run(X)
    pruned = curate.ConceptPrune(fraction=0.5).run(X, rows=dedup.selected, clusters=dedup.clusters)
    assert len(pruned) == len(dedup) // 2 and np.isin(pruned.selected, dedup.selected).all()
    assert len(pruned.count(7)) == 7 and len(pruned.fraction(0.25)) == len(dedup) // 4
    assert np.array_equal(pruned.clusters.centroids, dedup.clusters.centroids)
    again = pickle.loads(pickle.dumps(pruned))
    assert np.array_equal(again.count(7).selected, pruned.count(7).selected)
    assert again.evidence.to_dict() == pruned.evidence.to_dict()
    control = curate.ConceptPrune(count=10, control="random").run(X)
    assert len(control) == 10 and control.quotas is None and "control" in control.rules


def test_pruning_refuses_what_it_cannot_do():
    with pytest.raises(curate.InputError, match="give a fraction or a count"):
        curate.ConceptPrune()
    with pytest.raises(curate.ParamsError) as error:
        curate.ConceptPrune(count=3, temperature=0.0, balance=1.5)
    assert [field for field, _, _ in error.value.violations] == ["temperature", "balance"]
    with pytest.raises(curate.CurateError, match="100"):
        curate.ConceptPrune(count=101).run(unit(100, 4))
    method = curate.ConceptPrune(fraction=0.3, preset="code", seed=4)
    assert pickle.loads(pickle.dumps(method)) == method
    assert repr(method) == (
        "ConceptPrune(fraction=0.3, temperature=0.5, balance=0.5, clusters=None, seed=4)"
    )


def test_pruning_keeps_the_bytes_of_the_program(program, tmp_path):
    X = unit(1500, 16)
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "recipe.toml").write_text(
        f"""
        seed = 4
        [pool]
        path = "{tmp_path / "x.npy"}"
        [[stage]]
        kind = "concept-prune"
        embedding = "embedding"
        fraction = 0.4
        """
    )
    program("run", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    ids = curate.Pool(tmp_path / "x.npy").ids
    result = curate.ConceptPrune(fraction=0.4, seed=4).run(X, ids=ids)
    result.write(tmp_path / "subset.npy")
    assert (tmp_path / "subset.npy").read_bytes() == (tmp_path / "run/subset.npy").read_bytes()
    theirs = curate.Run(tmp_path / "run").evidence.to_dict()
    ours = result.evidence.to_dict()
    assert {name: theirs[name] for name in ours} == ours and len(ours["row"]) == 900


def test_scores_are_cut_in_their_precision_and_ties_go_to_the_smaller_id():
    scores = np.array([0.7, 0.6, np.nan, 0.7, 0.2], np.float32)
    kept = curate.select(scores, threshold=0.7)
    assert kept.selected.tolist() == [0, 3] and kept.threshold == np.float32(0.7)
    assert curate.select(scores, count=1).selected.tolist() == [0]
    ids = [9, 8, 7, 1, 2]
    assert curate.select(scores, count=1, ids=ids).selected_ids.tolist() == [1]
    assert curate.select(scores, fraction=0.4).selected.tolist() == [0, 3]
    assert curate.select(scores, count=2, better="lower-is-better").selected.tolist() == [1, 4]
    assert curate.select(scores, count=1, rows=[1, 4]).selected.tolist() == [1]
    assert kept.cause(2).rule == "score-missing" and kept.cause(1).rule == "threshold"
    assert kept.cause(1).value == np.float32(0.6)
    assert kept.rules == {"score-missing": 1, "threshold": 2}
    assert kept.rethreshold(0.1).selected.tolist() == [0, 1, 3, 4]
    again = pickle.loads(pickle.dumps(kept))
    assert again.count(1).selected.tolist() == [0] and again.scores.dtype == np.float32
    seconds = curate.select([1_700_000_000, 1_700_000_010], threshold=1_700_000_010)
    assert seconds.selected.tolist() == [1] and seconds.scores.dtype == np.float64
    with pytest.raises(curate.ParamsError, match="`threshold` is NaN"):
        curate.select(scores, threshold=float("nan"))
    with pytest.raises(curate.InputError, match="give a threshold, a fraction or a count"):
        curate.select(scores)
    with pytest.raises(curate.InputError, match='`better`: there is no "up": give "higher-is-better"'):
        curate.select(scores, count=1, better="up")


def test_representations_for_notebooks():
    result = curate.SemanticDedup(count=90).run(unit(100, 4))
    html = result._repr_html_()
    assert "semantic-duplicate" in html and "-10" in html and "<script" not in html
    table = curate.select(np.arange(100.0), count=5).evidence
    assert "<th" in table._repr_html_() and "and 85 more rows" in table._repr_html_()
    assert pickle.loads(pickle.dumps(table)).to_dict() == table.to_dict()
    assert repr(table).startswith("<curate.Table of 95 rows: uid, row")
    with pytest.raises(curate.InputError, match="there is no column x: the columns are uid"):
        table.column("x")
