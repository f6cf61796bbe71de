"""Times a run in tasks beside the same run of one process, and lets a large one live in little memory.

    python3 benches/tasks/run.py overhead     # one process and 1, 7, 64 tasks a step, in turns
    python3 benches/tasks/run.py soak         # half a million to five million rows under 2 GiB

Needs cargo, 4 GB of temporary disk, and a network for `pip install` into a virtual environment under
target/. The pools are those of `benches/memory` (`concepts`: score, cut, semantic dedup, concept pruning
on embeddings of 64 numbers). Each part replaces its own section of results.json.

- overhead: a million rows, 2 threads, the median of three turns. The digests of subset and evidence have
  to be the same every time. CPU seconds count, since they say the same on a busy machine.
- soak: under `ulimit -v`, which limits the address space and so more than what is used, `run --tasks 8`.

The bars, fixed before the first run: with 7 tasks at most 15 % more CPU time than one process; the soak
ends at every size.
"""

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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import report  # noqa: E402  beside this folder

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
BARS = {"overhead.seven_tasks_over_one_process_below": 1.15, "soak.sizes_that_ended": len(SIZES)}


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


def main():
    parts = {"overhead": overhead, "soak": soak}
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
