"""Golden cards by numpy, from the definitions in `curate_select::card`.

    pip install numpy
    python make_card.py
"""

import json
from pathlib import Path

import numpy as np

rng = np.random.default_rng(5)
SETS = ["a", "b", "c", "d", "e"]
TASKS = {"base": ["clean"], "shifted": ["r", "sketch", "v2"], "transfer": ["svhn", "dtd"], "neighbors": ["k20"]}
SAMPLES = {"clean": 50_000, "r": 30_000, "sketch": 50_889, "v2": 10_000, "svhn": 26_032, "dtd": 1_880, "k20": 50_000}
REFERENCES = ["a", "c", "d"]

lines, means = [], {}
for at, name in enumerate(SETS):
    for axis, tasks in TASKS.items():
        for task in tasks:
            if (name, task) == ("e", "v2"):
                continue
            seeds = np.round(np.clip(0.3 + 0.1 * at + 0.05 * rng.standard_normal(2), 0.05, 0.95), 4)
            for seed, accuracy in enumerate(seeds):
                lines.append({"set": name, "axis": axis, "task": task, "accuracy": float(accuracy),
                              "samples": SAMPLES[task], "seed": seed})
            means[name, task] = seeds.mean()


def mean(name, axis):
    tasks = [task for task in TASKS[axis] if all((other, task) in means for other in SETS)]
    p = np.array([means[name, task] for task in tasks])
    n = np.array([SAMPLES[task] for task in tasks])
    return {"accuracy": p.mean(), "half_width": 1.96 * np.sqrt(np.sum(p * (1 - p) / n)) / len(p), "tasks": len(p)}


cards = {name: {axis: mean(name, axis) for axis in TASKS} for name in SETS}
logit = lambda p: np.log(p / (1 - p))
both = np.array([[cards[name][axis]["accuracy"] for axis in ("base", "shifted")] for name in SETS])


def robustness(names):
    rows = [SETS.index(name) for name in names]
    slope, at_half = np.polyfit(logit(both[rows, 0]), logit(both[rows, 1]), 1)
    expected = 1 / (1 + np.exp(-(at_half + slope * logit(both[:, 0]))))
    return {"slope": slope, "at_half": at_half, "above": list(both[:, 1] - expected)}


golden = {"lines": lines, "cards": cards, "references": REFERENCES, "to_references": robustness(REFERENCES),
          "to_all": robustness(SETS)}
Path(__file__).with_name("card.json").write_text(json.dumps(golden, indent=1) + "\n")
