"""Simulates the task graph of a large run with stragglers and failures, and writes simulation.json.

    python3 benches/tasks/simulate.py

`benches/tasks/run.py model` holds its times to measured ones.

No measurement: a model. For pools of 12.8 million to 12.8 billion pairs it lists the steps of a usual
recipe (cosine of two embeddings, the best 30 %, semantic dedup, concept pruning; embeddings of 768 halves;
k-means trained on 256 rows for each cluster), with the floating-point operations and bytes of every task,
and lets machines carry them out: a task takes its time by the rates below, times a log-normal factor; of a
hundred tasks one takes three times as long, and of a hundred one is lost half way and begins again. A step
waits for the slowest task of the step before. Deterministic: the draws have a seed.

The rates are of one machine of 16 cores and 64 GiB that reads from shared storage; the price is what such
machines cost for hire.
"""

import dataclasses
import json
import random
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "simulation.json"
SIZES = [12_800_000, 128_000_000, 1_280_000_000, 12_800_000_000]
MODEL = {
    "cores": 16,
    "gflops_a_core": 40.0,
    "gb_per_second": 0.5,
    "dollars_an_hour": 0.8,
    "seconds_to_start_a_task": 5.0,
    # Of the pool, which every task opens with the sets of rows that stages left; of what a stage puts together; and of those whose fate the last
    # step writes. By `run.py model` on two threads.
    "rows_opened_a_second": 8e6,
    "rows_put_together_a_second": 3.9e6,
    "rows_finished_a_second": 2.7e5,
    "spread": 0.2,
    "stragglers": 0.01,
    "straggler_factor": 3.0,
    "failures": 0.01,
}
# Bytes of memory that every task holds for each row of the pool: ids, and the sets of rows of six stages.
BYTES_A_ROW = 48 + 16 * 6
ROWS_A_TASK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A cosine of two embeddings, or a column; a cut; semantic dedup; concept pruning; the subset."""

    dim: int = 768
    bytes_a_number: int = 2
    is_cosine: bool = True
    # Of all rows what the cut keeps, and of these what dedup keeps.
    cut: float = 0.3
    dedup: float = 0.7
    # Clusters of dedup and of pruning; by default half the square root of the rows.
    clusters: tuple = (None, None)
    # Whether k-means passes over all rows in tasks, or trains on 256 rows a cluster in one.
    in_passes: bool = False
    passes: int = 20


def steps(rows, recipe=Recipe(), parts=None):
    """Stage, step, tasks, and what one task costs: operations, bytes, rows put together, rows finished."""
    parts = parts or -(-rows // ROWS_A_TASK)
    kept = int(rows * recipe.cut)
    row = recipe.dim * recipe.bytes_a_number
    if recipe.is_cosine:
        yield "score", "rows", parts, 6.0 * rows * recipe.dim / parts, 2.0 * rows * row / parts, rows / parts, 0
    yield "score", "stage", 1, 0.0, 8 * rows, rows, 0
    yield "cut", "stage", 1, 0.0, 8 * rows, rows, 0
    for stage, given, clusters in (("dedup", kept, recipe.clusters[0]),
                                   ("prune", int(kept * recipe.dedup), recipe.clusters[1])):
        yield from clustered(stage, given, clusters or max(1, int(given**0.5 / 2)), recipe, parts)
    yield "", "finish", 1, 0.0, 32 * rows, 0, rows


def clustered(stage, rows, clusters, recipe, parts):
    """The steps of a stage on k-means; each reads its part of the vectors."""
    size = recipe.dim * recipe.bytes_a_number
    part = rows * size / parts
    # All pairs: bounds between passes are known to a process that stays, not to one for each task.
    product = 2.0 * rows * clusters * recipe.dim
    yield stage, "examine", parts, 2.0 * rows * recipe.dim / parts, part, 0, 0
    yield stage, "usable", 1, 0.0, 0.0, 0, 0
    if recipe.in_passes:
        yield stage, "begin", 1, 0.0, 0.0, 0, 0
        yield stage, "pass", recipe.passes * parts, product / parts, part, 0, 0
        yield stage, "move", recipe.passes, 0.0, 0.0, 0, 0
    else:
        sample = min(rows, 256 * clusters)
        yield stage, "train", 1, recipe.passes * product * sample / rows, sample * size, 0, 0
    yield stage, "assign", parts, product / parts, part, 0, 0
    if stage == "dedup":
        yield stage, "search", parts, rows * (rows / clusters) * recipe.dim / parts, part, 0, 0
    yield stage, "stage", 1, 0.0, 24 * rows, rows, 0


def seconds(pool, operations, size, together, finished, model=MODEL):
    """What one task takes where it has all cores; every task opens the pool."""
    compute = operations / (model["gflops_a_core"] * 1e9 * model["cores"])
    rows = (pool / model["rows_opened_a_second"] + together / model["rows_put_together_a_second"]
            + finished / model["rows_finished_a_second"])
    return model["seconds_to_start_a_task"] + compute + size / (model["gb_per_second"] * 1e9) + rows


def carried_out(tasks, each, machines, draw):
    """When the last of so many tasks is done, the machine seconds, and those that were lost."""
    free = [0.0] * machines
    spent = lost = 0.0
    for _ in range(tasks):
        took = each * draw.lognormvariate(0, MODEL["spread"])
        took *= MODEL["straggler_factor"] if draw.random() < MODEL["stragglers"] else 1.0
        if draw.random() < MODEL["failures"]:
            lost += took / 2
            took *= 1.5
        at = min(range(machines), key=free.__getitem__)
        free[at] += took
        spent += took
    return max(free), spent, lost


def simulate(rows):
    machines = max(1, min(256, rows // 12_800_000))
    draw = random.Random(rows)
    clock = spent = lost = ideal = 0.0
    longest = ("", 0.0)
    for stage, step, tasks, *cost in steps(rows):
        each = seconds(rows, *cost)
        took, used, gone = carried_out(tasks, each, machines, draw)
        clock, spent, lost = clock + took, spent + used, lost + gone
        ideal += tasks * each / machines
        longest = max(longest, (f"{stage} {step}", took), key=lambda step: step[1])
    return {
        "rows": rows,
        "machines": machines,
        "tasks": sum(tasks for _, _, tasks, *_ in steps(rows)),
        "hours": round(clock / 3600, 2),
        "machine_hours": round(spent / 3600, 1),
        "dollars": round(machines * clock / 3600 * MODEL["dollars_an_hour"], 2),
        "lost_percent": round(100 * lost / spent, 2),
        "waiting_percent": round(100 * (1 - spent / (machines * clock)), 1),
        "longest_step": longest[0],
        "memory_gib": round(BYTES_A_ROW * rows / 2**30 + 0.5, 1),
    }


def main():
    found = {"command": "python3 benches/tasks/simulate.py", "model": MODEL,
             "sizes": [simulate(rows) for rows in SIZES]}
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found["sizes"], indent=2))


if __name__ == "__main__":
    main()
