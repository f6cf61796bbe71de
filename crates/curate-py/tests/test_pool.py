import os
import pickle
import shutil
import tarfile
from pathlib import Path

import curate
import numpy as np
import pytest
from conftest import ROOT, unit

DEMO = ROOT / "demo"
MINI = ROOT / "fixtures/datacomp_mini"


@pytest.fixture(scope="module")
def pool():
    return curate.Pool(DEMO / "pool")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    recipe = {
        "name": "small",
        "seed": 7,
        "pool": {"path": str(DEMO / "pool")},
        "output": {"images": False},
        "stage": [
            {"kind": "score", "name": "agreement", "cosine": ["joint_img", "joint_txt"]},
            {"kind": "fraction", "score": "agreement", "fraction": 0.8},
            {"kind": "semantic-dedup", "embedding": "joint_img", "epsilon": 0.1},
        ],
    }
    out = tmp_path_factory.mktemp("run") / "out"
    return recipe, out, curate.run(recipe, out)


def test_a_pool_hands_out_what_lies_in_it(pool):
    assert len(pool) > 1000 and "joint_img" in pool.embedding_names
    vectors = pool.embedding("joint_img")
    assert vectors.shape[0] == len(vectors) == len(pool)
    read = vectors.read([5, 3])
    assert read.dtype == np.float32 and read.shape == (2, vectors.shape[1])
    whole = np.asarray(vectors)
    assert np.array_equal(whole[[3, 5]], read) and np.array_equal(vectors.read(), whole)
    ids = curate.id_texts(pool.ids)
    assert pool.row_of(ids[17]) == 17 and pool.row_of("no such key") is None
    sample, other = pool.samples([3, 17], images=True)
    assert other.id == ids[17] and other.image[:4] and other.caption
    assert pool.samples([3])[0].image is None
    with pytest.raises(curate.InputError, match="there is no row"):
        pool.samples([len(pool)])
    with pytest.raises(curate.FileError, match="joint_img"):
        pool.embedding("missing")


def test_a_pools_embedding_is_as_good_as_an_array(pool):
    vectors = pool.embedding("joint_img")
    method = curate.SemanticDedup(epsilon=0.1, seed=1)
    on_disk = method.run(vectors, ids=pool.ids, norm="any")
    in_memory = method.run(np.asarray(vectors), ids=pool.ids, norm="any")
    assert np.array_equal(on_disk.selected, in_memory.selected)
    assert on_disk.evidence.to_dict() == in_memory.evidence.to_dict()


def test_inspect_tells_what_the_program_tells(program):
    import json

    told = curate.inspect(DEMO / "pool")
    assert told == json.loads(program("inspect", DEMO / "pool", "--json"))


def test_a_run_is_the_programs(program, finished, tmp_path):
    recipe, out, run = finished
    (tmp_path / "recipe.toml").write_text(curate.Recipe(recipe).to_toml())
    program("run", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    for name in ("subset.npy", "subset.parquet", "evidence.parquet"):
        assert (out / name).read_bytes() == (tmp_path / "run" / name).read_bytes(), name
    parquet = pytest.importorskip("pyarrow.parquet")
    written = parquet.read_table(out / "evidence.parquet")
    assert run.evidence.to_pyarrow().to_pylist() == written.to_pylist()
    key = curate.id_texts(run.ids)[0]
    assert str(run.explain(key)) == program("explain", out, key)


def test_a_run_can_be_looked_at(finished):
    recipe, out, run = finished
    assert len(run) == len(run.selected) == len(run.ids) and run.rows > len(run)
    stages = run.stages.to_dict()
    assert stages["name"] == ["agreement", "fraction", "dedup"]
    assert stages["rows_out"][-1] == len(run)
    gone = run.evidence.to_dict()
    assert len(gone["row"]) == run.rows - len(run)
    explained = run.explain(gone["uid"][0])
    assert not explained.kept and explained.row == gone["row"][0]
    assert [step["stage"] for step in explained.steps][0] == "agreement"
    assert explained.steps[-1]["rule"] == gone["rule"][0]
    fewer = run.select("dedup", epsilon=0.3)
    assert fewer.stage == "dedup" and len(fewer) < len(run) == len(run.select("dedup", epsilon=0.1))
    assert "dedup" in run._repr_html_()
    assert curate.Run(out).ids.tolist() == run.ids.tolist()
    again = curate.run(recipe, out)
    assert again.reused == ["agreement", "fraction", "dedup"]
    changed = {**recipe, "seed": 8}
    with pytest.raises(curate.RunError, match="computed with other settings"):
        curate.run(changed, out)
    assert curate.compare(out, out / "subset.npy")["jaccard"] == 1.0
    with pytest.raises(curate.RunError, match="no sample of the pool has the id or key `zz`"):
        run.explain("zz")


def test_everything_that_is_wrong_with_a_recipe_is_named():
    with pytest.raises(curate.RecipeError) as error:
        curate.Recipe('[pool]\npath = "p"\n[[stage]]\nkind = "fraction"\nfraction = 1.5\n')
    assert len(error.value.problems) >= 1 and "fraction" in str(error.value)
    with pytest.raises(curate.RecipeError, match="unknown"):
        curate.Recipe({"pool": {"path": "p"}, "stage": [], "surprise": 1})
    with pytest.raises(curate.FileError, match="does not exist"):
        curate.Recipe.read("no/such/recipe.toml")
    with pytest.raises(curate.InputError, match="Recipe.read takes the path"):
        curate.Recipe("recipe.toml")
    stage = [{"kind": "top", "score": "s", "count": 3}]
    with pytest.raises(curate.RecipeError, match="no earlier .*`s`|`s`"):
        curate.Recipe({"pool": {"path": Path("p")}, "stage": stage})
    recipe = curate.Recipe.read(DEMO / "recipe.toml")
    assert pickle.loads(pickle.dumps(recipe)) == recipe and recipe.seed == 7
    assert recipe.with_pool("other").pool == Path("other")
    assert recipe.needs()["rows"] > 1000 and "properties" in curate.Recipe.schema()


def test_an_interrupted_run_goes_on(tmp_path):
    recipe = {
        "pool": {"path": str(DEMO / "pool")},
        "output": {"report": False},
        "stage": [
            {"kind": "score", "name": "a", "cosine": ["joint_img", "joint_txt"]},
            {"kind": "semantic-dedup", "embedding": "joint_img", "name": "d"},
        ],
    }

    class Enough(Exception):
        pass

    def listener(task, *_):
        if (tmp_path / "run/stages/01-a/stage.json").exists():
            raise Enough

    try:
        curate.run(recipe, tmp_path / "run", progress=listener)
    except Enough:
        pass
    assert "a" in curate.run(recipe, tmp_path / "run").reused


def test_trainings_are_left_to_the_program(tmp_path):
    recipe = {
        "pool": {"path": str(DEMO / "pool")},
        "evaluate": {"seeds": 1},
        "stage": [{"kind": "score", "name": "a", "cosine": ["joint_img", "joint_txt"]}],
    }
    with pytest.raises(curate.RecipeError, match="asks for trainings"):
        curate.run(recipe, tmp_path / "run")
    with pytest.raises(curate.RecipeError, match="asks for trainings"):
        curate.tasks.plan(recipe, tmp_path / "plan")
    assert list(tmp_path.iterdir()) == []


def test_subsets_are_combined_as_the_program_does(program, tmp_path):
    a, b = [1, 2, 2, 3, "ff"], [2, 3, 3, 2**70]
    curate.write_subset(tmp_path / "a.npy", [f"{i:x}" if isinstance(i, int) else i for i in a])
    curate.write_subset(tmp_path / "b.txt", [f"{i:x}" for i in b])
    for name, ours in [
        ("union", curate.union(tmp_path / "a.npy", tmp_path / "b.txt")),
        ("intersect", curate.intersect(tmp_path / "a.npy", str(tmp_path / "b.txt"))),
        ("minus", curate.minus(tmp_path / "a.npy", tmp_path / "b.txt")),
    ]:
        program("subset", name, tmp_path / "a.npy", tmp_path / "b.txt", "--out", tmp_path / "c.npy")
        assert np.array_equal(ours, np.load(tmp_path / "c.npy")), name
        curate.write_subset(tmp_path / "ours.npy", ours)
        assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()
    numbers = curate.union([1, 2, 2, 3], [2, 3, 3], copies=True)
    assert numbers["f1"].tolist() == [1, 2, 2, 2, 3, 3, 3]
    assert curate.minus([1, 2, 2, 3], [2], copies=True)["f1"].tolist() == [1, 2, 3]
    info = curate.subset_info(tmp_path / "a.npy")
    assert (info["ids"], info["distinct"], info["repeated"]) == (5, 4, 1)
    assert np.array_equal(curate.read_subset(tmp_path / "a.npy"), np.load(tmp_path / "a.npy"))
    assert curate.id_texts(curate.key_ids(["0" * 30 + "ff"])) == [f"{255:032x}"]
    assert curate.as_ids([255]).tolist() == curate.as_ids(["ff"]).tolist()
    with pytest.raises(curate.InputError, match="`others`: `zz` is not a sample id"):
        curate.union([1], ["zz"])


def test_baselines_write_datacomps_bytes(tmp_path):
    method = curate.Baseline("clip_score", arch="l14", fraction=0.3)
    subset = method.subset(MINI / "metadata")
    subset.write(tmp_path / "subset.npy")
    expected = MINI / "expected/clip_score_l14_frac03.npy"
    assert (tmp_path / "subset.npy").read_bytes() == expected.read_bytes()
    assert len(subset) == len(subset.ids) < subset.rows and subset.dropped
    assert pickle.loads(pickle.dumps(method)) == method
    judged = method.run(MINI / "metadata")
    judged.write(tmp_path / "judged.npy")
    assert (tmp_path / "judged.npy").read_bytes() == expected.read_bytes()
    assert judged.rules == {"low-score": 194, "score-missing": 13}
    assert judged.threshold == subset.threshold and len(judged.given) == subset.rows == 300
    again = pickle.loads(pickle.dumps(judged))
    assert again.evidence.to_dict() == judged.evidence.to_dict()
    assert again.selected_ids == judged.selected_ids
    with pytest.raises(curate.ParamsError, match="`fraction`"):
        curate.Baseline("clip_score", arch="l14", fraction=2.0)
    with pytest.raises(curate.InputError, match='there is no "best": give one of no_filter'):
        curate.Baseline("best")


def test_reshard_copies_the_selected_samples(program, finished, tmp_path):
    _, out, run = finished
    shards = tmp_path / "shards"
    told = curate.reshard(DEMO / "pool", run.ids, shards, samples_per_shard=100)
    assert told["written"] == len(run)
    program(
        "reshard", DEMO / "pool", "--subset", out / "subset.npy", "--out", tmp_path / "theirs",
        "--samples-per-shard", 100,
    )
    for tar in sorted(shards.glob("*.tar")):
        assert tar.read_bytes() == (tmp_path / "theirs" / tar.name).read_bytes()
    with pytest.raises(curate.FileError):
        curate.reshard(DEMO / "pool", run.ids, shards, samples_per_shard=0)


def test_tasks_share_a_resharding(finished, tmp_path):
    _, _, run = finished

    def part(index):
        return curate.reshard(DEMO / "pool", run.ids, tmp_path / "parts", samples_per_shard=100, part=(index, 2))

    with pytest.raises(curate.FileError, match="are for other tasks to read"):
        part(0)
    assert not part(1)["complete"] and not part(0)["complete"]
    told = curate.reshard(DEMO / "pool", run.ids, tmp_path / "parts", samples_per_shard=100)
    assert told["complete"] and told["found_written"] == told["output_shards"]
    curate.reshard(DEMO / "pool", run.ids, tmp_path / "whole", samples_per_shard=100)
    for tar in sorted((tmp_path / "whole").glob("*.tar")):
        assert tar.read_bytes() == (tmp_path / "parts" / tar.name).read_bytes()


def test_a_network_scores_as_the_program_embeds(pool):
    network = curate.Network(DEMO / "filter")
    rows = list(range(12))
    samples = pool.samples(rows, images=True)
    images = network.embed_images([sample.image for sample in samples])
    texts = network.embed_texts([sample.caption for sample in samples])
    assert images.shape == texts.shape == (12, network.dim) and images.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    zeros = np.zeros((2, 3, network.image_size, network.image_size), np.float32)
    gray = network.embed_transformed(zeros)
    assert gray.shape == (2, network.dim) and np.array_equal(gray[0], gray[1])
    for wrong in (zeros[:, :2], zeros.astype(float), zeros[..., ::-1], zeros[0], [1.0]):
        with pytest.raises(curate.InputError, match=r"`images`: give an array of float32 of shape"):
            network.embed_transformed(wrong)
    pairs = network.score_pairs(pool, rows)
    np.testing.assert_allclose(pairs.scores, (images * texts).sum(1), atol=1e-5)
    best = pairs.select(count=4)
    assert best.selected.tolist() == sorted(np.argsort(-pairs.scores)[:4].tolist())
    assert best.rules == {"low-score": 8}
    assert pickle.loads(pickle.dumps(best)).rules == best.rules
    assert best.selected_ids == [sample.id for sample in pool.samples(best.selected)]
    html = curate.gallery(pool.samples(rows, images=True))._repr_html_()
    assert html.count("<img") == 12 and "data:image/png;base64," in html
    with pytest.raises(curate.InputError, match="image 1"):
        network.embed_images([samples[0].image, b"no image"])
    with pytest.raises(curate.InputError, match="is no image"):
        network.embed_images([3])
    near = curate.Network(DEMO / "filter", precision="int8")
    assert near.fingerprint != network.fingerprint
    off = np.abs(near.score_pairs(pool, rows).scores - pairs.scores)
    assert 0 < off.max() < 0.05
    with pytest.raises(curate.InputError, match=r"`precision`.*must be one of f32, bf16, int8"):
        curate.Network(DEMO / "filter", precision="int4")
    with pytest.raises(curate.FileError):
        curate.Network("no/such/network")
    with pytest.raises(curate.InputError, match="`folder`: networks are not fetched here"):
        curate.Network("hf://org/name")


def test_pil_images_are_embedded_without_loss(pool, tmp_path):
    image = pytest.importorskip("PIL.Image")
    import io

    network = curate.Network(DEMO / "filter")
    sample = pool.samples([0], images=True)[0]
    opened = image.open(io.BytesIO(sample.image)).convert("RGB")
    opened.save(tmp_path / "x.png")
    by_path = network.embed_images([tmp_path / "x.png"])
    assert np.array_equal(network.embed_images([opened]), by_path)
