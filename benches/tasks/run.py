"""Times a run in tasks beside the same run of one process, and lets a large one live in little memory.

    python3 benches/tasks/run.py overhead     # one process and 1, 7, 64 tasks a step, in turns
    python3 benches/tasks/run.py soak         # half a million to five million rows under 2 GiB
    python3 benches/tasks/run.py model        # every task's time beside the model's and the plan's

Needs cargo, 4 GB of temporary disk, and a network for `pip install` into a virtual environment under
target/. The pools are those of `benches/memory` (`concepts`: score, cut, semantic dedup, concept pruning
on embeddings of 64 numbers). Each part replaces its own section of results.json.

- overhead: a million rows, 2 threads, the median of three turns. The digests of subset and evidence have
  to be the same every time. CPU seconds count, since they say the same on a busy machine.
- soak: under `ulimit -v`, which limits the address space and so more than what is used, `run --tasks 8`.
- model: a process for every task of plans of 4 tasks a step; its seconds beside those of `simulate.py`,
  whose rates are measured in the same run: NumPy's matrix product, reading a pool's files once, a task that
  is done already, on few rows and on the smaller pool, and the smaller pool's last step; so the larger pool is
  what the model is judged by. And beside the plan's estimate, by which Slurm ends a task.

The bars, fixed before the first run: with 7 tasks at most 15 % more CPU time than one process; the soak
ends at every size; all tasks together within a factor of 2 of the model, and none takes longer than its
plan's estimate.
"""

import dataclasses
import hashlib
import importlib.util
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

import report  # noqa: E402  beside this folder
import simulate  # noqa: E402

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("memory_bench", HERE.parent / "memory" / "run.py")
memory = importlib.util.module_from_spec(spec)
spec.loader.exec_module(memory)

RESULTS = HERE / "results.json"
OUT = memory.BENCH / "out-tasks"
THREADS, TURNS = 2, 3
TASKS = [None, 1, 7, 64]
SIZES = [500_000, 1_000_000, 2_000_000, 5_000_000]
LIMIT_KIB = 2 << 20
MODELLED = [500_000, 1_000_000]
PARTS = 4
# The recipe of the pools as `simulate.py` describes recipes.
SHAPE = simulate.Recipe(dim=memory.DIM, is_cosine=False, cut=0.8, clusters=(200, 100), in_passes=True, passes=50)
BARS = {"model.factor_below": 2.0, "model.tasks_beyond_their_estimate_below": 0, "overhead.seven_tasks_over_one_process_below": 1.15, "soak.sizes_that_ended": len(SIZES)}


def recipe(rows):
    pool = memory.make_pool("concepts", rows)
    path = memory.BENCH / f"concepts-{rows}.toml"
    path.write_text(f'[pool]\npath = "{pool}"\n{memory.RECIPES["concepts"]}')
    return path


def command(rows, tasks):
    words = [str(memory.CURATE), "-q", "--threads", str(THREADS), "run", str(recipe(rows))]
    return words + ["--out", str(OUT)] + ([] if tasks is None else ["--tasks", str(tasks)])


def once(words):
    """Seconds, CPU seconds, and the digests of subset and evidence."""
    shutil.rmtree(OUT, ignore_errors=True)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    digests = [hashlib.sha256((OUT / name).read_bytes()).hexdigest()
               for name in ("subset.npy", "evidence.parquet")]
    return seconds, cpu, digests


def overhead():
    rows = 1_000_000
    found = {tasks: [] for tasks in TASKS}
    for _ in range(TURNS):
        for tasks in TASKS:
            found[tasks].append(once(command(rows, tasks)))
    digests = {tuple(digests) for turns in found.values() for *_, digests in turns}
    if len(digests) > 1:
        sys.exit(f"the results differ: {digests}")
    name = {None: "one process", 1: "1 task", 7: "7 tasks", 64: "64 tasks"}
    cases = {name[tasks]: {"seconds": statistics.median(seconds for seconds, *_ in turns),
                           "cpu_seconds": statistics.median(cpu for _, cpu, _ in turns)}
             for tasks, turns in found.items()}
    one = cases["one process"]["cpu_seconds"]
    ratios = {f"{word}_over_one_process_below": round(cases[case]["cpu_seconds"] / one, 3)
              for word, case in [("one_task", "1 task"), ("seven_tasks", "7 tasks"),
                                 ("sixty_four_tasks", "64 tasks")]}
    return {"rows": rows, "cases": cases, "ratios": ratios}


def soak():
    sizes = {}
    for rows in SIZES:
        words = command(rows, 8)
        shutil.rmtree(OUT, ignore_errors=True)
        watched = [sys.executable, "-S", "-c", memory.WATCH, "sh", "-c",
                   f'ulimit -v {LIMIT_KIB}; exec "$@"', "sh", *words]
        start = time.perf_counter()
        peak, code = map(int, subprocess.check_output(watched).split())
        sizes[str(rows)] = {"seconds": round(time.perf_counter() - start, 1),
                            "peak_mib": round(peak / 1024), "ended": code == 0}
        print(rows, sizes[str(rows)], flush=True)
    ended = sum(size["ended"] for size in sizes.values())
    return {"limit_mib": LIMIT_KIB >> 10, "sizes": sizes, "ratios": {"sizes_that_ended": ended}}


def model():
    plan_folder = memory.BENCH / "plan-model"
    rates, sizes, beyond = None, {}, 0
    for rows in MODELLED:
        shutil.rmtree(plan_folder, ignore_errors=True)
        shutil.rmtree(OUT, ignore_errors=True)
        command = [str(memory.CURATE), "-q", "tasks", "plan", str(recipe(rows)), "--out", str(plan_folder)]
        subprocess.run([*command, "--tasks", str(PARTS)], check=True, stdout=subprocess.DEVNULL)
        measured = {}
        for step in json.loads((plan_folder / "plan.json").read_text())["steps"]:
            for index in range(step["tasks"]):
                seconds = task(plan_folder, step["name"], index)
                beyond += seconds > step["estimate"]["seconds"]
                measured.setdefault(kind(step["name"]), []).append(seconds)
        rates = rates or measured_rates(plan_folder, rows, measured)
        modelled = {}
        # Of the rows that the cut leaves, what dedup keeps is not known before: taken from the run.
        shape = dataclasses.replace(SHAPE, dedup=kept_by_dedup(plan_folder))
        for stage, step, tasks, *cost in simulate.steps(rows, shape, PARTS):
            modelled[f"{stage} {step}".strip()] = tasks * simulate.seconds(rows, *cost, model=rates)
        steps = [{"step": name, "tasks": len(times), "measured": round(sum(times), 2),
                  "modelled": round(modelled.get(name, 0.0), 2)} for name, times in measured.items()]
        totals = {side: round(sum(step[side] for step in steps), 1) for side in ("measured", "modelled")}
        factor = totals["measured"] / totals["modelled"]
        sizes[str(rows)] = {"steps": steps, **totals}
    shutil.rmtree(plan_folder)
    ratios = {"factor_below": round(max(factor, 1 / factor), 2), "tasks_beyond_their_estimate_below": beyond}
    return {"tasks_a_step": PARTS, "rates": rates, "sizes": sizes, "ratios": ratios}


def task(plan, step, index):
    words = [str(memory.CURATE), "-q", "--threads", str(THREADS), "tasks", "run", str(plan)]
    start = time.perf_counter()
    subprocess.run([*words, "--step", step, "--index", str(index)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def kind(name):
    """`03-dedup.pass-07` is a `dedup pass`, by the names of `simulate.py`."""
    stage, _, step = name.partition(".")
    stage = stage.partition("-")[2]
    names = {"clip": "score", "fraction": "cut", "semantic-dedup": "dedup", "concept-prune": "prune"}
    return f"{names.get(stage, stage)} {step.partition('-')[0]}".strip() if step else "finish"


def kept_by_dedup(plan):
    stages = json.loads((plan / "run" / "manifest.json").read_text())["stages"]
    dedup = next(stage for stage in stages if stage["kind"] == "semantic-dedup")
    return dedup["rows_out"] / dedup["rows_in"]


def measured_rates(plan, rows, measured):
    import numpy as np

    a = np.ones((2000, 512), np.float32)
    b = np.ones((512, 2000), np.float32)
    product = min(timed(lambda: a @ b) for _ in range(20))
    files = [path for path in (memory.make_pool("concepts", rows) / "metadata").iterdir()]
    size = sum(path.stat().st_size for path in files)
    read = min(timed(lambda: [path.read_bytes() for path in files]) for _ in range(3))
    # It moves a few centroids, and has opened the pool and read the sets of rows for that.
    opened = statistics.median(measured["dedup move"])
    together, finish = sum(measured["score stage"]), sum(measured["finish"])
    version = [str(memory.CURATE), "--version"]
    start = min(timed(lambda: subprocess.run(version, check=True, stdout=subprocess.DEVNULL)) for _ in range(5))
    return {"cores": THREADS, "gflops_a_core": round(2 * a.size * b.shape[1] / product / 1e9 / THREADS, 1),
            "gb_per_second": round(size / read / 1e9, 2), "seconds_to_start_a_task": round(start, 3),
            "rows_opened_a_second": round(rows / (opened - start)),
            "rows_put_together_a_second": round(rows / (together - opened)),
            "rows_finished_a_second": round(rows / (finish - opened))}


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    parts = {"overhead": overhead, "soak": soak, "model": model}
    wanted = sys.argv[1:] or list(parts)
    memory.BENCH.mkdir(parents=True, exist_ok=True)
    if "CURATE" not in os.environ:
        build = ["cargo", "build", "--quiet", "--release", "--package", "curate-cli"]
        subprocess.run(build, cwd=memory.ROOT, check=True)
    for part in wanted:
        load = os.getloadavg()[0]
        section = parts[part]()
        section["load_before"] = load
        if part == "overhead" and load > 0.5:
            print(json.dumps(section, indent=2), f"\nnot kept: the load was {load:.2f} at the start")
            continue
        report.save(RESULTS, part, section, "python3 benches/tasks/run.py", "seconds", {}, BARS)
    shutil.rmtree(OUT, ignore_errors=True)


if __name__ == "__main__":
    memory.enter()
    main()
