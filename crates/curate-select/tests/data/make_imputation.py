"""Golden imputation of the k-NN probe, by numpy from its definition.

    pip install numpy
    python make_imputation.py

Rows of embeddings are written as integers of 1/256, which f32 holds exactly.
"""

import json
import os

import numpy as np

from draws import derive, unit

SEED, PER_CLASS, CLASSES, DIM = 11, 12, 5, 6
rng = np.random.default_rng(3)
sizes = [20, 7, 1, 0, 12]
centers = rng.normal(size=(CLASSES, DIM))
draw = lambda c, n: np.round(256 * (centers[c] + 0.5 * rng.normal(size=(n, DIM)))).astype(int)
train = np.concatenate([draw(c, n) for c, n in enumerate(sizes)])
labels = np.repeat(np.arange(CLASSES), sizes)
test = np.concatenate([draw(c, 9) for c in range(CLASSES)])
truth = np.repeat(np.arange(CLASSES), 9)

length = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
real = length(train / 256)
rows, owners = [real], [labels]
for c, n in enumerate(sizes):
    missing = max(PER_CLASS - n, 0)
    if missing == 0:
        continue
    at = np.arange(missing * DIM)
    radius = np.sqrt(-2 * np.log(1 - unit(derive(SEED, "impute radius"), c, at)))
    normal = radius * np.cos(2 * np.pi * unit(derive(SEED, "impute angle"), c, at))
    own = real[labels == c]
    if n == 0:
        low, high = real.min(0), real.max(0)
        mean = low + (high - low) * unit(derive(SEED, "impute point"), c, np.arange(DIM))
        own = real
    else:
        mean = own.mean(0)
    rows.append(length(mean + own.std(0) * normal.reshape(missing, DIM)))
    owners.append(np.full(missing, c))
filled, owners = np.concatenate(rows), np.concatenate(owners)


def right(bank, owner, k):
    hits = 0
    for row, label in zip(length(test / 256) @ bank.T, truth):
        near = np.argsort(-row, kind="stable")[:k]
        votes = np.zeros(CLASSES)
        np.add.at(votes, owner[near], np.exp(row[near] / 0.07))
        hits += votes.argmax() == label
    return int(hits)


golden = {
    "seed": SEED, "per_class": PER_CLASS, "classes": CLASSES,
    "train": train.tolist(), "labels": labels.tolist(), "test": test.tolist(), "truth": truth.tolist(),
    "filled": filled[len(labels):].tolist(), "owners": owners.tolist(),
    "right": {k: right(filled, owners, k) for k in [1, 5, 20]},
    "right_without": {k: right(real, labels, k) for k in [1, 5, 20]},
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "imputation.json"), "w") as file:
    json.dump(golden, file)
    file.write("\n")
