import json

import curate
import numpy as np
import pytest
from conftest import ROOT, unit


def estimator_checks():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    return checks.estimator_checks_generator(curate.KMeans(n_clusters=3))


def test_kmeans_passes_scikit_learns_checks():
    for estimator, check in estimator_checks():
        try:
            check(estimator)
        except pytest.importorskip("unittest").SkipTest:
            pass
        except Exception as error:
            raise AssertionError(f"{check}: {error}") from error


def test_everything_else_is_there_without_scikit_learn(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "curate._estimator", None)
    with pytest.raises(ImportError, match="curate.KMeans needs scikit-learn"):
        curate.KMeans
    names = {}
    exec("from curate import *", names)
    assert "kmeans" in names and "KMeans" not in names


def test_kmeans_fits_predicts_and_transforms():
    pytest.importorskip("sklearn")
    X = np.random.default_rng(0).normal(size=(500, 6))
    model = curate.KMeans(5, random_state=3).fit(X)
    assert np.array_equal(model.predict(X), model.labels_)
    assert model.transform(X).shape == (500, 5)
    assert np.array_equal(model.transform(X).argmin(1), model.labels_)
    assert model.score(X) == pytest.approx(-model.inertia_, rel=1e-4)
    sphere = curate.KMeans(5, metric="spherical").fit(X)
    assert np.array_equal(sphere.transform(X).argmin(1), sphere.labels_)
    assert sphere.score(X) == pytest.approx(-sphere.inertia_, rel=1e-4)
    assert np.array_equal(curate.KMeans(5, init="k-means++").fit(X).labels_, curate.KMeans(5).fit(X).labels_)


def test_semdedup_takes_the_published_configuration(tmp_path):
    X = unit(2000, 16, groups=200)
    X.tofile(tmp_path / "embs.npy")
    config = {
        "embs_memory_loc": str(tmp_path / "embs.npy"),
        "dataset_size": 2000,
        "emd_size": 16,
        "num_clusters": 8,
        "niter": 20,
        "seed": 1234,
        "which_to_keep": "hard",
        "eps_list": [0.01, 0.1],
        "largest_cluster_size_to_process": 10_000_000,
        "save_loc": str(tmp_path / "kept"),
    }
    results = curate.semdedup(config)
    assert len(results[0.1]) < len(results[0.01]) < 2000
    clusters = results[0.1].clusters
    assert clusters.k == 8
    for epsilon, result in results.items():
        kept = np.load(tmp_path / f"kept/kept_eps_{epsilon}.npy")
        assert np.array_equal(kept, result.selected)
        view = curate.SemanticDedup(epsilon=epsilon).run(X, clusters=clusters)
        assert np.array_equal(view.selected, result.selected)
    overridden = curate.semdedup(config, embeddings=X, eps_list=[0.1], which_to_keep="easy")
    assert list(overridden) == [0.1]
    with pytest.raises(curate.InputError, match="`epsilon`: there is no such key"):
        curate.semdedup(config, epsilon=0.1)
    with pytest.raises(curate.InputError, match="`embs_memory_loc`: give it with dataset_size"):
        curate.semdedup(eps_list=[0.1])
    with pytest.raises(curate.InputError, match="`eps_list`"):
        curate.semdedup(config, eps_list=[])
    with pytest.raises(curate.InputError, match="only cosine"):
        curate.semdedup(config, Kmeans_with_cos_dist=False)


def test_the_selected_samples_of_webdataset_shards_are_read(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.TarWriter(str(tmp_path / "0.tar")) as tar:
        for i in range(6):
            record = {"uid": f"{i:032x}"} if i < 4 else {}
            tar.write({"__key__": f"k{i}", "txt": f"caption {i}", "json": json.dumps(record).encode()})
    ids = [f"{1:032x}", f"{3:032x}", *curate.id_texts(curate.key_ids(["k5"]))]
    chosen = curate.Chosen(ids)
    shards = wds.WebDataset(str(tmp_path / "0.tar"), shardshuffle=False).select(chosen)
    assert [sample["__key__"] for sample in shards] == ["k1", "k3", "k5"]
    assert len(chosen) == 3
    assert list(chosen.filter([{"uid": 1}, {"uid": 2}])) == [{"uid": 1}]
    by_name = curate.Chosen(curate.key_ids(["a.jpg"]), id_of=lambda sample: sample["name"])
    assert by_name({"name": "a.jpg"}) and not by_name({"name": "b.jpg"})
    with pytest.raises(curate.InputError, match="it has no uid"):
        chosen({"text": "x"})
