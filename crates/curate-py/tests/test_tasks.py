"""Runs in tasks: the same bytes, whoever carries the tasks out and however often."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import curate
import numpy as np
import pytest
from conftest import artefacts, in_clusters, unit, write_pairs
from curate.tasks import Plan, Worker, plan


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A recipe and what one process makes of it."""
    folder = tmp_path_factory.mktemp("tasks")
    recipe = in_clusters(write_pairs(folder / "pool", 1500))
    curate.run(recipe, folder / "run")
    return recipe, artefacts(folder / "run")


def test_tasks_leave_the_bytes_of_one_process(whole, tmp_path):
    recipe, expected = whole
    made = plan(recipe, tmp_path / "plan", tasks=3)
    assert made.rows == 1500 and made.folder == tmp_path / "plan"
    names = [step.name for step in made.steps]
    assert [step.after for step in made.steps] == [None, *names[:-1]]
    assert made.steps[0].work == "rows" and made.steps[0].tasks == 3 and made.steps[-1].work == "finish"
    assert all(step.seconds > 0 and step.memory > 0 and step.disk >= 0 for step in made.steps)
    stages = [step.stage for step in made.steps]
    assert stages == sorted(stages[:-1]) + [None] and set(stages[:-1]) == {0, 1, 2, 3}
    worker = Worker(made.folder)
    assert worker.plan.fingerprint == made.fingerprint
    answers = []
    # Those of a step side by side, last first.
    with ThreadPoolExecutor(3) as several:
        for step in made.steps:
            answers += several.map(lambda i: worker.run(step.name, i), reversed(range(step.tasks)))
    assert set(answers) <= {"computed", "not-needed"} and answers[-1] == "computed"
    assert made.status().is_done and artefacts(made.run_folder) == expected
    assert worker.run(names[0], 1) == "present"


def test_a_plan_is_looked_at_resumed_and_cleared(whole, program, tmp_path):
    recipe, expected = whole
    (tmp_path / "recipe.toml").write_text(curate.Recipe(recipe).to_toml())
    made = plan(tmp_path / "recipe.toml", tmp_path / "plan", tasks=2)
    again = plan(recipe, tmp_path / "plan", tasks=2)
    assert again.fingerprint == made.fingerprint == Plan.open(tmp_path / "plan").fingerprint
    worker = Worker(made.folder)
    first = made.steps[0]
    assert worker.run(first.name, 1) == "computed"
    status = made.status()
    assert not status.is_done and str(status) == program("tasks", "status", made.folder)
    assert status.steps == json.loads(program("tasks", "status", made.folder, "--json"))["steps"]
    assert status.steps[0] == {"step": first.name, "tasks": 2, "done": 1, "open": [[0, {"state": "missing"}]]}
    heard = []
    computed = made.resume(progress=lambda *told: heard.append(told))
    assert computed > 10 and heard and made.status().is_done
    assert artefacts(made.run_folder) == expected
    verdict = made.verify()
    assert verdict == json.loads(program("tasks", "verify", made.folder, "--json"))
    assert verdict["whole"] > computed and verdict["damaged"] == verdict["foreign"] == []
    gone = made.collect()
    assert gone["files"] > computed and gone["bytes"] > 0
    assert made.status().is_done and made.verify()["damaged"] == []
    assert made.collect(everything=True)["files"] == 0
    assert len(curate.Run(made.run_folder)) > 0


def test_a_scheduler_can_tell_what_is_not_ready_from_what_is_wrong(whole, tmp_path):
    recipe, _ = whole
    made = plan(recipe, tmp_path / "plan", tasks=2)
    worker = pickle.loads(pickle.dumps(Worker(made.folder)))
    with pytest.raises(curate.NotReady, match="has to be done first") as raised:
        worker.run(made.steps[1].name)
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.step, error.tasks, error.missing, error.first) == (made.steps[0].name, 2, 2, 0)
    assert isinstance(error, curate.RunError)
    with pytest.raises(curate.RunError, match="there is no task 2"):
        worker.run(made.steps[0].name, 2)
    with pytest.raises(curate.RunError, match="no step `nine`; it has 01-agreement.rows"):
        worker.run("nine")
    with pytest.raises(curate.RunError, match="holds no plan of tasks"):
        Plan.open(tmp_path)
    with pytest.raises(curate.InputError, match="`tasks`"):
        plan(recipe, tmp_path / "other", tasks=0)
    with pytest.raises(curate.RunError, match="holds another plan"):
        plan(recipe, tmp_path / "plan", tasks=3)
    assert pickle.loads(pickle.dumps(made)).fingerprint == made.fingerprint
    assert "tasks>" in repr(made) and "1 tasks" in repr(made.steps[1]) and "0 of" in repr(made.status())


def test_a_lost_artefact_is_not_ready_and_is_made_again(whole, tmp_path):
    recipe, expected = whole
    made = plan(recipe, tmp_path / "plan", tasks=2)
    worker = Worker(made.folder)
    rows, stage = made.steps[:2]
    for index in range(2):
        worker.run(rows.name, index)
    part = made.folder / "parts" / rows.name / "00001.part"
    written = part.read_bytes()
    part.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
    with pytest.raises(curate.NotReady) as raised:
        worker.run(stage.name)
    assert (raised.value.step, raised.value.first) == (rows.name, 1)
    assert made.verify()["damaged"] != []
    assert worker.run(rows.name, 0) == "present" and worker.run(rows.name, 1) == "computed"
    assert part.read_bytes() == written
    made.resume()
    assert artefacts(made.run_folder) == expected


def test_a_pool_that_changed_is_refused(tmp_path):
    np.save(tmp_path / "rows.npy", unit(300, 8))
    recipe = {"pool": {"path": str(tmp_path / "rows.npy")}, "stage": [{"kind": "semantic-dedup", "embedding": "embedding"}]}
    made = plan(recipe, tmp_path / "plan", tasks=2)
    worker = Worker(made.folder)
    np.save(tmp_path / "rows.npy", unit(300, 8, seed=1))
    with pytest.raises(curate.CurateError, match="rows.npy"):
        worker.run(made.steps[0].name)
    with pytest.raises(curate.CurateError, match="rows.npy"):
        Worker(made.folder)


def test_progress_stops_a_task(whole, tmp_path):
    class Enough(Exception):
        pass

    def listener(*_):
        raise Enough

    made = plan(whole[0], tmp_path / "plan", tasks=1)
    with pytest.raises(Enough):
        made.resume(progress=listener)
    assert not any(task[1]["state"] == "failed" for step in made.status().steps for task in step["open"])


def test_a_plan_does_not_depend_on_who_makes_it_or_from_where(tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", unit(300, 8))
    stage = {"kind": "semantic-dedup", "embedding": "embedding", "clusters": 4}
    recipe = {"pool": {"path": "rows.npy"}, "stage": [stage]}
    monkeypatch.chdir(tmp_path)
    threads = curate.threads()
    made = plan(recipe, "plan", tasks=2)
    curate.set_threads(threads + 1)
    try:
        assert plan(recipe, "plan", tasks=2).fingerprint == made.fingerprint
    finally:
        curate.set_threads(None)
    # A task finds the pool from anywhere.
    monkeypatch.chdir("/")
    assert Plan.open(tmp_path / "plan").resume() > 0


def test_without_ray_it_says_what_to_install(monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r'pip install "curate-samples\[ray\]"'):
        curate.ray.run(tmp_path)
