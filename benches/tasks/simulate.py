"""Simulates the task graph of a large run with stragglers and failures, and writes simulation.json.

    python3 benches/tasks/simulate.py

No measurement: a model. For pools of 12.8 million to 12.8 billion pairs it lists the steps of a usual
recipe (cosine of two embeddings, the best 30 %, semantic dedup, concept pruning; embeddings of 768 halves;
k-means trained on 256 rows for each cluster), with the floating-point operations and bytes of every task,
and lets machines carry them out: a task takes its time by the rates below, times a log-normal factor; of a
hundred tasks one takes three times as long, and of a hundred one is lost half way and begins again. A step
waits for the slowest task of the step before. Deterministic: the draws have a seed.

The rates are of one machine of 16 cores and 64 GiB that reads from shared storage; the price is what such
machines cost for hire.
"""

import json
import random
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "simulation.json"
SIZES = [12_800_000, 128_000_000, 1_280_000_000, 12_800_000_000]
DIM, HALF = 768, 2
MODEL = {
    "cores": 16,
    "gflops_a_core": 40.0,
    "gb_per_second": 0.5,
    "dollars_an_hour": 0.8,
    "seconds_to_start_a_task": 5.0,
    "spread": 0.2,
    "stragglers": 0.01,
    "straggler_factor": 3.0,
    "failures": 0.01,
}
# Bytes of memory that every task holds for each row of the pool: ids, and the sets of rows of six stages.
BYTES_A_ROW = 48 + 16 * 6
ROWS_A_TASK = 1 << 20


def steps(rows):
    """Name, tasks, and what one task costs: operations and bytes."""
    parts = -(-rows // ROWS_A_TASK)
    kept = int(rows * 0.3)
    clusters = max(1, int(kept**0.5 / 2))
    left = int(kept * 0.7)
    of = lambda total, tasks: total / tasks
    ids = 16 * rows
    row = DIM * HALF
    yield "score", parts, of(6.0 * rows * DIM, parts), of(2.0 * rows * row, parts) + ids
    yield "cut", 1, 0.0, ids + 8 * rows
    yield "examine", parts, of(2.0 * kept * DIM, parts), of(kept * row, parts) + ids
    sample = min(kept, 256 * clusters)
    yield "train", 1, 20 * 2.0 * sample * clusters * DIM * 0.3, sample * row + ids
    yield "assign", parts, of(2.0 * kept * clusters * DIM * 0.3, parts), of(kept * row, parts) + ids
    size = kept / clusters
    yield "search", parts, of(kept * size * DIM, parts), of(kept * row, parts) + ids
    yield "dedup", 1, 0.0, ids + 24 * kept
    concepts = max(1, int(left**0.5 / 2))
    yield "assign to concepts", parts, of(2.0 * left * concepts * DIM * 0.3, parts), of(left * row, parts) + ids
    yield "prune", 1, 0.0, ids + 24 * left
    yield "finish", 1, 0.0, ids + 32 * rows


def seconds(operations, size):
    compute = operations / (MODEL["gflops_a_core"] * 1e9 * MODEL["cores"])
    return MODEL["seconds_to_start_a_task"] + compute + size / (MODEL["gb_per_second"] * 1e9)


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
    for name, tasks, operations, size in steps(rows):
        each = seconds(operations, size)
        took, used, gone = carried_out(tasks, each, machines, draw)
        clock, spent, lost = clock + took, spent + used, lost + gone
        ideal += tasks * each / machines
        longest = max(longest, (name, took), key=lambda step: step[1])
    return {
        "rows": rows,
        "machines": machines,
        "tasks": sum(tasks for _, tasks, *_ in steps(rows)),
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
