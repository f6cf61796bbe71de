"""Runs on Ray, for pools that one machine takes too long for.

`run` carries a plan of tasks (`curate.tasks`) out on a Ray cluster: the same bytes as `curate.run`, however
many workers come and go. Only Ray Core is used. Tasks get the plan's path, a step's name and numbers, and
answer with a word; vectors and all that is computed go through the plan's folder, never through Ray's object
store. Needs Ray: `pip install "curate-samples[ray]"`. `score` adds a network's scores to a Ray Dataset.
"""

from __future__ import annotations

import importlib
import os
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any, NoReturn

from curate._curate import Explanation, Plan, Recipe, Reselection, Status, Step, Worker, set_threads, threads
from curate._curate import Run as _Finished
from curate._curate import plan as _plan
from curate._errors import CurateError, FileError, InputError, NotReady, RunError
from curate._progress import Progress, listener
from curate._ray_score import score as score

__all__ = ["Run", "run", "score"]

# Tasks that one Ray task carries out: a step, the first of them, the one after the last.
_Work = tuple[str, int, int]

# What a process with Python and Ray in it takes beside what the library estimates.
_PROCESS = 256 << 20
# Seconds between the looks at tasks that others did not end by then, and tasks that end a look.
_LOOK, _SEEN = 1.0, 100
# Seconds to wait for a folder that another process writes to.
_PAUSES = (1, 2, 4, 8, 16)


def run(
    plan: Plan | Recipe | str | os.PathLike[str] | dict[str, Any],
    out: str | os.PathLike[str] | None = None,
    *,
    tasks: int | None = None,
    address: str | None = None,
    num_cpus: float = 1,
    memory: int | None = None,
    max_retries: int = 3,
    progress: bool | Progress | None = None,
) -> Run:
    """Carry out a recipe on Ray, with the bytes of `curate.run`.

    Called again it goes on where it stopped, whatever stopped it: tasks that are done are not done again.

    Parameters
    ----------
    plan : plan folder, Plan, Recipe, path of a TOML file, or dict
        A plan, or a recipe that is planned into `out` first.
    out : path, optional
        For a recipe: the plan's folder. Every node has to see it under this path, and the pool.
    tasks : int, optional
        For a recipe: into how many ranges the rows are cut; by default into ranges of a million. Some
        per processor of the cluster keep it busy; the result does not depend on it.
    address : str, optional
        "auto" or a cluster's address joins a cluster. By default the Ray that this process is connected to,
        or else one that `ray.init()` finds or starts.
    num_cpus : float
        Processors of a task, and the number of threads that it works on.
    memory : int, optional
        Bytes of memory that Ray sets aside for a task; by default what the plan estimates. 0 sets nothing
        aside.
    max_retries : int
        How often a task is tried again whose process or node is gone, and a step of which an artefact is.
    progress : bool or callable, optional
        Hears of each step, and of how many of its tasks are done.

    Returns
    -------
    Run

    Raises
    ------
    CurateError
        What the library says of the pool or the recipe, as it is; the other tasks are cancelled, and what
        was done stays. `RunError` also when no node of the cluster is large enough for a task, and when
        tries are used up.

    Examples
    --------
    run = curate.ray.run("recipe.toml", out="/shared/plan", tasks=64, address="auto")
    """
    ray = _ray()
    _check(num_cpus, memory, max_retries)
    made = _planned(plan, out, tasks, progress)
    _connect(ray, address)
    hear = listener(progress)
    driver = _Driver(ray, made, num_cpus, memory, max_retries, hear)
    driver.check_nodes()
    try:
        driver.carry_out()
    finally:
        # Bars close, other callables need not.
        getattr(hear, "close", lambda: None)()
    return Run(made)


class Run:
    """A run that was carried out in tasks; `curate.ray.run` makes one.

    Parameters
    ----------
    plan : Plan or path of a plan folder
        One whose last step is done.
    """

    def __init__(self, plan: Plan | str | os.PathLike[str]) -> None:
        self.plan = plan if isinstance(plan, Plan) else Plan.open(os.path.abspath(plan))
        self.result = _Finished(self.plan.run_folder)

    @property
    def folder(self) -> os.PathLike[str]:
        """The run folder, as `curate.run` would have written it."""
        return self.plan.run_folder

    @property
    def subset(self) -> Any:
        """The ids that stay: an array of pairs `u8,u8`."""
        return self.result.ids

    def status(self) -> Status:
        """Which tasks are done."""
        return self.plan.status()

    def verify(self, *, progress: bool | Progress | None = None) -> Any:
        """Read every artefact: how many are `whole`, what is `damaged`, which files are `foreign`."""
        return self.plan.verify(progress=progress)

    def rethreshold(
        self,
        stage: str | None = None,
        *,
        epsilon: float | None = None,
        threshold: float | None = None,
        fraction: float | None = None,
        count: int | None = None,
    ) -> Reselection:
        """Another cut of a stage, without computing it again: `curate.Run.select`."""
        return self.result.select(
            stage, epsilon=epsilon, threshold=threshold, fraction=fraction, count=count
        )

    def explain(self, id: str) -> Explanation:
        """What each stage said of a sample, by its id or its key."""
        return self.result.explain(id)

    def __len__(self) -> int:
        return len(self.result)

    def __repr__(self) -> str:
        return f"<curate.ray.Run {self.plan.folder}: {len(self)} of {self.plan.rows} rows stay>"


def _ray() -> Any:
    """Ray, which takes a second to import and may be missing."""
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ImportError('curate.ray needs Ray: pip install "curate-samples[ray]"') from error


def _refuse(argument: str, problem: str) -> NoReturn:
    error = InputError(f"`{argument}`: {problem}")
    error.argument = argument
    raise error


def _check(num_cpus: float, memory: int | None, max_retries: int) -> None:
    if not num_cpus > 0:
        _refuse("num_cpus", f"{num_cpus} processors carry out nothing: give more than 0")
    if memory is not None and memory < 0:
        _refuse("memory", f"{memory} bytes: give a number from 0")
    if max_retries < 0:
        _refuse("max_retries", f"{max_retries}: give a number from 0")


def _planned(plan: Any, out: Any, tasks: int | None, progress: Any) -> Plan:
    """The plan of what was given, by its full path, since workers have other working folders."""
    is_path = isinstance(plan, str | os.PathLike)
    if isinstance(plan, Plan) or (is_path and os.path.isdir(plan)):
        for argument, value in (("out", out), ("tasks", tasks)):
            if value is not None:
                _refuse(argument, "is for recipes: a plan has its folder and its tasks")
        return Plan.open(os.path.abspath(plan.folder if isinstance(plan, Plan) else plan))
    if out is None:
        _refuse("out", "name the folder that the recipe is planned into")
    return _plan(plan, os.path.abspath(out), tasks, progress=progress)


def _connect(ray: Any, address: str | None) -> None:
    if not ray.is_initialized():
        ray.init(address=address)
    elif address not in (None, "auto"):
        here = ray.get_runtime_context().gcs_address
        if address != here:
            _refuse("address", f"this process is connected to {here}: leave it out, or call ray.shutdown() first")


class _Driver:
    """Carries out a plan: its steps one after the other, the tasks of each side by side."""

    def __init__(
        self,
        ray: Any,
        plan: Plan,
        num_cpus: float,
        memory: int | None,
        max_retries: int,
        hear: Progress | None,
    ) -> None:
        self._ray = ray
        self._plan = plan
        self._num_cpus = num_cpus
        self._memory = memory
        self._max_retries = max_retries
        self._hear = hear
        self._remote = ray.remote(_carry_out)

    def check_nodes(self) -> None:
        """Refuses a plan with a task that no node is large enough for: Ray would wait for one for ever."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for step in self._plan.steps:
            needed = {"CPU": self._num_cpus, "memory": self._memory_of(step)}
            if not any(all(node.get(name, 0) >= of for name, of in needed.items()) for node in nodes):
                largest = max((node.get("memory", 0) for node in nodes), default=0)
                most = max((node.get("CPU", 0) for node in nodes), default=0)
                raise RunError(
                    f"a task of step `{step.name}` needs {needed['memory'] / 2**30:.2f} GiB of memory and "
                    f"{self._num_cpus:g} processors, and no node has both (at most {largest / 2**30:.2f} GiB, "
                    f"{most:g} processors): plan more tasks, use larger nodes, or set `memory` and `num_cpus`"
                )

    def carry_out(self) -> None:
        """Carries out what is not done; what was lost meanwhile, too."""
        again: Counter[str] = Counter()
        while True:
            try:
                return self._carry_out_steps(again)
            except NotReady as error:
                again[error.step] += 1
                if again[error.step] > self._max_retries:
                    raise

    def _carry_out_steps(self, again: Iterable[str]) -> None:
        steps, done = self._plan.steps, set[str]()
        undone = {step["step"]: [index for index, _ in step["open"]] for step in self._plan.status().steps}
        for place, step in enumerate(steps):
            if step.name in done:
                continue
            # A task whose artefact only seems to be whole is found when it is looked at again.
            indices = range(step.tasks) if step.name in again else undone[step.name]
            answers = self._run(step, [(step.name, index, index + 1) for index in indices])
            if step.work == "pass" and answers and set(answers) == {"not-needed"}:
                # K-means has converged, so what is left of it writes that down, and one process is enough.
                rest = [s for s in steps[place + 1 :] if s.stage == step.stage and s.work in ("move", "pass")]
                self._run(step, [*(((s.name, 0, s.tasks)) for s in rest)], together=True)
                done.update(s.name for s in rest)

    def _memory_of(self, step: Step) -> int:
        return step.memory + _PROCESS if self._memory is None else self._memory

    def _run(self, step: Step, works: list[_Work], *, together: bool = False) -> list[str]:
        """Carries out tasks, each in a Ray task or all in one; returns what became of them."""
        remote = self._remote.options(
            name=step.name,
            num_cpus=self._num_cpus,
            memory=self._memory_of(step),
            max_retries=self._max_retries,
        )
        cores = max(1, int(self._num_cpus))
        what = (os.fspath(self._plan.folder), self._plan.fingerprint, cores)
        split = [works] if together and works else [[work] for work in works]
        waiting = {remote.remote(*what, some): some for some in split}
        answers: list[str] = []
        try:
            while waiting:
                self._tell(step, len(answers), len(split))
                refs = list(waiting)
                ended, _ = self._ray.wait(refs, num_returns=min(len(refs), _SEEN), timeout=_LOOK)
                for ref in ended:
                    answers.append(self._answer(ref, waiting.pop(ref)))
            self._tell(step, len(answers), len(split))
        finally:
            for ref in waiting:
                self._ray.cancel(ref)
        return answers

    def _tell(self, step: Step, done: int, tasks: int) -> None:
        if self._hear is not None and tasks:
            self._hear(step.name, done, tasks, "tasks")

    def _answer(self, ref: Any, works: list[_Work]) -> str:
        """What a task answered; raises what it could not do."""
        step, index, _ = works[0]
        exceptions = self._ray.exceptions
        try:
            answer = self._ray.get(ref)
        except (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError) as error:
            raise RunError(
                f"task {index} of step `{step}` was tried {self._max_retries + 1} times, and its process or its "
                f"node was gone each time; what is done stays, and the same call goes on from there"
                f"\n  because: {error}"
            ) from error
        if isinstance(answer, CurateError):
            if not isinstance(answer, NotReady):
                answer.add_note(f"task {index} of step `{step}`")
            raise answer
        return str(answer)


# The worker that this process has open, so that the pool is not opened for each task.
_opened: tuple[tuple[str, str], Worker] | None = None


def _worker(folder: str, fingerprint: str) -> Worker:
    global _opened
    if _opened is None or _opened[0] != (folder, fingerprint):
        worker = Worker(folder)
        if worker.plan.fingerprint != fingerprint:
            raise RunError(f"{folder}: holds another plan on this node than where the run was started")
        _opened = ((folder, fingerprint), worker)
    return _opened[1]


def _carry_out(folder: str, fingerprint: str, cores: int, works: list[_Work]) -> str | CurateError:
    """What a Ray task does: carries out tasks, and answers what became of the last one. What the library
    refuses is an answer too, since another try would not help, and Ray would wrap it."""
    global _opened
    if threads() != cores:
        set_threads(cores)
    try:
        answer = ""
        for step, first, end in works:
            for index in range(first, end):
                answer = _patiently(_worker(folder, fingerprint), step, index)
        return answer
    except CurateError as error:
        # A pool that has changed may be put right, and then has to be opened again.
        _opened = None
        return error


def _patiently(worker: Worker, step: str, index: int) -> str:
    """Carries out a task; waits for a folder that a process writes to which is about to end."""
    for pause in _PAUSES:
        try:
            return worker.run(step, index)
        except FileError as error:
            if error.kind != "Busy":
                raise
            time.sleep(pause)
    return worker.run(step, index)
