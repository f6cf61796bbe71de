"""Runs on Ray: a cluster of several raylets here, the bytes of one process, whatever is killed."""

import importlib.util
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import curate
import numpy as np
import pytest
from conftest import artefacts, in_clusters, unit, write_pairs

# Not `importorskip`: a Ray that is there and does not import is a failure.
if importlib.util.find_spec("ray") is None:
    pytest.skip("Ray is not installed", allow_module_level=True)
if sys.platform == "win32":
    pytest.skip("there are no clusters of several raylets here", allow_module_level=True)

import ray
from ray.cluster_utils import Cluster

SMALL = {"object_store_memory": 80 << 20}


@pytest.fixture(scope="module")
def cluster():
    """A head that carries out nothing and two nodes of a processor each."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
    for _ in range(2):
        made.add_node(num_cpus=1, **SMALL)
    yield made
    made.shutdown()


@pytest.fixture(autouse=True)
def disconnected():
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A recipe, and the run folder that one process makes of it."""
    folder = tmp_path_factory.mktemp("ray")
    recipe = in_clusters(write_pairs(folder / "pool", 3000, dim=128), clusters=60)
    curate.run(recipe, folder / "run")
    return recipe, folder / "run"


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


def assert_undisturbed(run, expected):
    """The run has the bytes of one process, and nothing lies about that nobody needs."""
    assert artefacts(run.folder) == artefacts(expected)
    assert names(run.folder) == names(expected)
    assert run.status().is_done
    run.plan.collect()
    verdict = run.verify()
    assert verdict["damaged"] == verdict["foreign"] == []
    left = names(run.plan.folder / "parts")
    assert [name for name in left if not name.endswith((".stage/00000.part", ".stage/00000.json"))] == [
        "finish/00000.json",
        "finish/00000.part",
    ]


def marks(plan):
    """The marks of tasks that are being worked on, of the steps that changed last."""
    try:
        steps = sorted(os.scandir(Path(plan) / "parts"), key=lambda step: -step.stat().st_mtime_ns)[:2]
        found = [entry.path for step in steps for entry in os.scandir(step)]
    except FileNotFoundError:
        return []
    return [Path(path) for path in found if path.endswith(".running")]


def hold(plan, of=lambda process, mark: True, seconds=40):
    """Stops a process in the middle of a task; returns its number and the task's mark."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for mark in marks(plan):
            try:
                process = json.loads(mark.read_text())["process"]
                if not of(process, mark):
                    continue
                os.kill(process, signal.SIGSTOP)
                while "State:\tT" not in Path(f"/proc/{process}/status").read_text():
                    time.sleep(0.001)
                if mark.exists() and json.loads(mark.read_text())["process"] == process:
                    return process, mark
                os.kill(process, signal.SIGCONT)
            except (OSError, ValueError):
                continue  # it ended meanwhile
    raise TimeoutError("no task was seen")


def kill_workers(plan, count):
    """Kills processes in the middle of tasks, each of another one."""
    seen = []
    for _ in range(count):
        process, mark = hold(plan, of=lambda _, mark: mark not in seen)
        os.kill(process, signal.SIGKILL)
        seen.append(mark)
    return seen


def parent(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("workers", [2, 4])
def test_the_bytes_are_those_of_one_process(cluster, whole, tmp_path, workers):
    recipe, expected = whole
    more = [cluster.add_node(num_cpus=1, **SMALL) for _ in range(workers - 2)]
    heard = []
    run = curate.ray.run(
        recipe, out=tmp_path / "plan", tasks=workers + 1, address=cluster.address,
        progress=lambda *told: heard.append(told),
    )
    steps = {step.name: step.tasks for step in run.plan.steps}
    ended = [(name, total) for name, done, total, kind in heard if done == total and kind == "tasks"]
    assert ended[:2] == [("01-agreement.rows", workers + 1), ("01-agreement.stage", 1)]
    assert {name for name, *_, kind in heard if kind == "tasks"} <= set(steps)
    assert_undisturbed(run, expected)
    for node in more:
        cluster.remove_node(node)


class Weighed:
    """A remote function that notes how many bytes the arguments of each call are."""

    def __init__(self, function, sizes):
        self.function, self.sizes = function, sizes

    def options(self, **asked):
        return Weighed(self.function.options(**asked), self.sizes)

    def remote(self, *given):
        self.sizes.append(len(pickle.dumps(given)))
        return self.function.remote(*given)


def test_paths_and_words_alone_go_through_the_object_store(cluster, whole, tmp_path, monkeypatch):
    remote, get, asked, answered = ray.remote, ray.get, [], []
    monkeypatch.setattr(ray, "remote", lambda function: Weighed(remote(function), asked))
    monkeypatch.setattr(ray, "get", lambda ref: answered.append(get(ref)) or answered[-1])
    run = curate.ray.run(whole[0], out=tmp_path / "plan", tasks=2, address=cluster.address)
    assert len(run) > 0 and len(asked) == len(answered) > 40
    assert max(asked) < 500 and set(answered) <= {"computed", "not-needed"}


def test_what_comes_of_it_is_a_finished_run(cluster, whole, tmp_path):
    recipe, expected = whole
    plan = curate.tasks.plan(recipe, tmp_path / "plan", tasks=2)
    run = curate.ray.run(plan.folder, address=cluster.address)
    one = curate.Run(expected)
    assert run.subset.tolist() == one.ids.tolist() and len(run) == len(one)
    assert run.folder == plan.run_folder and "rows stay" in repr(run)
    stricter = run.rethreshold("dedup", epsilon=0.2)
    assert stricter.ids.tolist() == one.select("dedup", epsilon=0.2).ids.tolist() != run.subset.tolist()
    assert len(run.rethreshold("dedup", count=100)) == 100
    gone = one.evidence.column("uid")[0]
    assert str(run.explain(gone)) == str(one.explain(gone))
    heard = []
    again = curate.ray.run(plan, progress=lambda *told: heard.append(told))
    assert heard == [] and again.subset.tolist() == run.subset.tolist()
    assert curate.ray.Run(plan.folder).result.rows == 3000


def test_a_worker_is_killed_in_the_middle_of_a_task(cluster, whole, tmp_path):
    recipe, expected = whole
    with ThreadPoolExecutor(1) as other:
        killed = other.submit(kill_workers, tmp_path / "plan", 4)
        run = curate.ray.run(recipe, out=tmp_path / "plan", tasks=3, address=cluster.address)
        assert len(set(killed.result())) == 4
    assert_undisturbed(run, expected)


def test_a_node_is_lost_in_the_middle_of_a_task(cluster, whole, tmp_path):
    recipe, expected = whole
    node = cluster.add_node(num_cpus=1, **SMALL)
    raylet = node.all_processes["raylet"][0].process.pid

    def lose():
        process, mark = hold(tmp_path / "plan", of=lambda process, _: parent(process) == raylet)
        cluster.remove_node(node, allow_graceful=False)
        os.kill(process, signal.SIGKILL)
        return mark.parent.name

    with ThreadPoolExecutor(1) as other:
        lost = other.submit(lose)
        run = curate.ray.run(recipe, out=tmp_path / "plan", tasks=4, address=cluster.address)
        assert lost.result() in {step.name for step in run.plan.steps}
    assert_undisturbed(run, expected)


def in_clusters_already(_, mark):
    return mark.parent.name[:3] in ("03-", "04-")


def test_the_driver_is_killed_and_started_again(cluster, whole, tmp_path):
    recipe, expected = whole
    script = "import curate, json, sys; curate.ray.run(json.loads(sys.argv[1]), out=sys.argv[2], tasks=3, address=sys.argv[3])"
    words = [json.dumps(recipe), tmp_path / "plan", cluster.address]
    with subprocess.Popen([sys.executable, "-c", script, *words], stderr=subprocess.DEVNULL) as driver:
        process, _ = hold(tmp_path / "plan", of=in_clusters_already)
        driver.kill()
    os.kill(process, signal.SIGCONT)
    before = curate.tasks.Plan.open(tmp_path / "plan").status()
    assert not before.is_done and before.steps[0]["done"] == 3
    heard = []
    run = curate.ray.run(recipe, out=tmp_path / "plan", tasks=3, address=cluster.address, progress=lambda *t: heard.append(t))
    assert {name for name, *_ in heard}.isdisjoint({"01-agreement.rows", "02-fraction.stage"})
    assert_undisturbed(run, expected)


def test_ctrl_c_ends_the_driver_and_its_tasks(cluster, whole, tmp_path):
    recipe, expected = whole
    script = """
import curate, json, sys
try:
    curate.ray.run(json.loads(sys.argv[1]), out=sys.argv[2], tasks=3, address=sys.argv[3])
except KeyboardInterrupt:
    print("stopped")
"""
    words = [json.dumps(recipe), tmp_path / "plan", cluster.address]
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", script, *words], **how) as driver:
        process, _ = hold(tmp_path / "plan", of=in_clusters_already)
        driver.send_signal(signal.SIGINT)
        # Beside other lines: Ray writes to a driver's output what its raylets tell.
        assert "stopped" in driver.communicate(timeout=60)[0].splitlines()
    os.kill(process, signal.SIGCONT)
    assert driver.returncode == 0
    states = {told["state"] for step in curate.tasks.Plan.open(tmp_path / "plan").status().steps for _, told in step["open"]}
    assert "failed" not in states
    assert_undisturbed(curate.ray.run(recipe, out=tmp_path / "plan", tasks=3, address=cluster.address), expected)


def test_tries_are_used_up(cluster, whole, tmp_path):
    recipe, expected = whole
    with ThreadPoolExecutor(1) as other:
        killed = other.submit(kill_workers, tmp_path / "plan", 1)
        with pytest.raises(curate.RunError, match="was tried 1 times") as raised:
            curate.ray.run(recipe, out=tmp_path / "plan", address=cluster.address, max_retries=0)
        (mark,) = killed.result()
        assert f"task {int(mark.stem)} of step `{mark.parent.name}`" in str(raised.value)
    assert_undisturbed(curate.ray.run(recipe, out=tmp_path / "plan"), expected)


def test_what_was_lost_is_made_again(cluster, whole, tmp_path):
    recipe, expected = whole
    plan = curate.tasks.plan(recipe, tmp_path / "plan", tasks=2)
    worker = curate.tasks.Worker(plan.folder)
    for index in range(2):
        worker.run(plan.steps[0].name, index)
    part = plan.folder / "parts" / plan.steps[0].name / "00001.part"
    written = bytearray(part.read_bytes())
    written[-1] ^= 1
    part.write_bytes(written)
    assert plan.status().steps[0]["done"] == 2
    assert_undisturbed(curate.ray.run(plan, address=cluster.address), expected)


def test_what_the_library_refuses_is_raised_as_it_is(cluster, tmp_path):
    np.save(tmp_path / "rows.npy", unit(300, 8))
    recipe = {"pool": {"path": str(tmp_path / "rows.npy")}, "stage": [{"kind": "semantic-dedup", "embedding": "embedding"}]}
    plan = curate.tasks.plan(recipe, tmp_path / "plan", tasks=2)
    written = (tmp_path / "rows.npy").read_bytes()
    np.save(tmp_path / "rows.npy", unit(300, 8, seed=1))
    with pytest.raises(curate.CurateError) as expected:
        curate.tasks.Worker(plan.folder)
    with pytest.raises(type(expected.value)) as raised:
        curate.ray.run(plan, address=cluster.address)
    assert str(raised.value) == str(expected.value) and type(raised.value) is type(expected.value)
    assert any("of step `01-dedup." in note for note in raised.value.__notes__)
    # Put right, the same processes carry on.
    (tmp_path / "rows.npy").write_bytes(written)
    assert len(curate.ray.run(plan)) > 0


def test_once_k_means_has_converged_it_costs_little(cluster, tmp_path):
    np.save(tmp_path / "rows.npy", unit(600, 8, groups=6))
    stage = {"kind": "semantic-dedup", "embedding": "embedding", "clusters": 6, "k-means": {"iterations": 50}}
    recipe = {"pool": {"path": str(tmp_path / "rows.npy")}, "stage": [stage]}
    tasks = []
    run = curate.ray.run(
        recipe, out=tmp_path / "plan", tasks=3, address=cluster.address,
        progress=lambda name, done, total, kind: done == total and kind == "tasks" and tasks.append((name, total)),
    )
    assert len(run.plan.steps) > 100
    passes = [name for name, total in tasks if ".pass-" in name and total == 3]
    assert 2 <= len(passes) <= 20 and sum(total for _, total in tasks) < 100
    curate.run(recipe, tmp_path / "run")
    assert_undisturbed(run, tmp_path / "run")


def test_a_task_that_no_node_is_large_enough_for_is_refused_before_any_begins(cluster, whole, tmp_path):
    plan = curate.tasks.plan(whole[0], tmp_path / "plan", tasks=2)
    for asked in [{"memory": 1 << 50}, {"num_cpus": 3}]:
        with pytest.raises(curate.RunError, match="step `01-agreement.rows` needs .* no node has both"):
            curate.ray.run(plan, address=cluster.address, **asked)
    assert not (plan.folder / "parts").exists()


@pytest.mark.parametrize("argument, value", [("num_cpus", 0), ("memory", -1), ("max_retries", -1), ("tasks", 0)])
def test_arguments_are_refused_by_name(whole, tmp_path, argument, value):
    with pytest.raises(curate.InputError, match=f"`{argument}`") as raised:
        curate.ray.run(whole[0], out=tmp_path / "plan", **{argument: value})
    assert raised.value.argument == argument


def test_plans_and_recipes_are_told_apart(cluster, whole, tmp_path):
    recipe, _ = whole
    with pytest.raises(curate.InputError, match="`out`: name the folder"):
        curate.ray.run(recipe)
    plan = curate.tasks.plan(recipe, tmp_path / "plan", tasks=2)
    with pytest.raises(curate.InputError, match="`tasks`: is for recipes"):
        curate.ray.run(plan.folder, tasks=3)
    with pytest.raises(curate.RunError, match="holds no plan"):
        curate.ray.run(tmp_path)
    ray.init(address=cluster.address)
    with pytest.raises(curate.InputError, match="`address`: this process is connected to"):
        curate.ray.run(plan, address="198.51.100.1:6379")


def test_a_task_works_on_as_many_threads_as_it_has_processors(whole, tmp_path):
    plan = curate.tasks.plan(whole[0], tmp_path / "plan", tasks=2)
    step = plan.steps[0].name
    try:
        answer = curate.ray._carry_out(str(plan.folder), plan.fingerprint, 3, [(step, 0, 2)])
        assert answer == "computed" and curate.threads() == 3
        assert curate.ray._carry_out(str(plan.folder), plan.fingerprint, 1, [(step, 0, 2)]) == "present"
        assert curate.threads() == 1
        other = curate.ray._carry_out(str(plan.folder), "another", 1, [(step, 0, 1)])
    finally:
        curate.set_threads(None)
    assert isinstance(other, curate.RunError) and "another plan on this node" in str(other)


def test_a_dataset_gets_the_scores_of_a_pool(cluster):
    data = pytest.importorskip("ray.data")
    pil = pytest.importorskip("PIL.Image")
    demo = Path(__file__).parents[3] / "demo"
    pool, network = curate.Pool(demo / "pool"), curate.Network(demo / "filter")
    rows = list(range(12))
    samples = pool.samples(rows, images=True)
    images, captions = [sample.image for sample in samples], [sample.caption for sample in samples]
    pixels = np.asarray(pil.open(io.BytesIO(images[5])).convert("RGB"))
    expected = network.score_pairs(pool, rows).scores.copy()
    # What cannot be scored is told from what can, wherever it lies in a batch.
    images[3], captions[7] = b"no image", " "
    expected[[3, 7]] = np.nan
    ray.init(address=cluster.address)
    table = [{"jpg": i, "txt": t, "at": at} for at, (i, t) in enumerate(zip(images, captions, strict=True))]
    for size in (5, 64):
        scored = curate.ray.score(
            data.from_items(table), demo / "filter", image="jpg", caption="txt", batch_size=size, concurrency=1
        )
        found = {row["at"]: row["score"] for row in scored.take_all()}
        np.testing.assert_allclose([found[at] for at in rows], expected, atol=1e-5)
    as_pixels = data.from_items([{"image": pixels, "caption": captions[5]}])
    (row,) = curate.ray.score(as_pixels, demo / "filter", concurrency=1).take_all()
    assert abs(row["score"] - expected[5]) < 1e-5
    with pytest.raises(curate.InputError, match="`image`: the dataset has no column `png`; it has jpg, txt, at"):
        curate.ray.score(data.from_items(table), demo / "filter", image="png", caption="txt")
    with pytest.raises(curate.InputError, match="`out`: the dataset has a column `at` already"):
        curate.ray.score(data.from_items(table), demo / "filter", image="jpg", caption="txt", out="at")
    with pytest.raises(curate.FileError):
        curate.ray.score(data.from_items(table), "no/such/network", image="jpg", caption="txt")
