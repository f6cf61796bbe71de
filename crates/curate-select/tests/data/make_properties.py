"""Golden properties, by numpy and scipy from the definitions.

    pip install numpy scipy
    python make_properties.py

Rows of embeddings are written as integers of 1/256, which f32 holds exactly.
"""

import json
import os

import numpy as np
from scipy import stats

rng = np.random.default_rng(7)
CLASSES = 40

counts = np.floor(2000 / (1 + np.arange(CLASSES)) ** 1.3).astype(int)
counts[rng.choice(CLASSES, 3, replace=False)] = 0
counts = rng.permutation(counts)
shares = counts[counts > 0] / counts.sum()
differences = np.abs(counts[:, None] - counts[None, :]).mean()

truth = rng.integers(0, 12, 900)
shift = rng.choice([0, 0, 0, 1, 2, 5], 900)
predicted = (truth + shift * (truth % 3)) % 12
keep = truth != 11
truth, predicted = truth[keep], predicted[keep]
matrix = np.zeros((12, 12), int)
np.add.at(matrix, (truth, predicted), 1)
with np.errstate(invalid="ignore"):
    precision = matrix.diagonal() / matrix.sum(0)
    recall = matrix.diagonal() / matrix.sum(1)
def skew(row, own):
    others = np.sort(np.delete(row, own) / max(row.sum(), 1))[::-1][:5]
    others = others[others > 0]
    return stats.skew(others) if len(set(others)) > 1 else (0.0 if len(others) else None)


skewness = [skew(row, own) for own, row in enumerate(matrix)]

a = rng.normal(size=30)
b = 0.4 * a + rng.normal(size=30)
a[3], b[9] = np.nan, np.nan
both = ~np.isnan(a) & ~np.isnan(b)

def rows(n, dim, spread, kinds):
    centers = rng.normal(size=(kinds, dim))
    labels = rng.integers(0, kinds, n)
    x = np.round(256 * (centers[labels] + spread * rng.normal(size=(n, dim))))
    return labels, x

state = rng.bit_generator.state
labels, train = rows(300, 16, 1.2, 6)
rng.bit_generator.state = state
test_labels, test = rows(420, 16, 1.2, 6)
test_labels, test = test_labels[300:], test[300:]
unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
cosines = unit(test / 256) @ unit(train / 256).T
accuracy = {}
for k in [1, 10, 20, 100, 200]:
    right = 0
    for row, label in zip(cosines, test_labels):
        near = np.argsort(-row, kind="stable")[:k]
        votes = np.zeros(6)
        np.add.at(votes, labels[near], np.exp(row[near] / 0.07))
        right += votes.argmax() == label
    accuracy[k] = int(right)

x, y = unit(train[:90] / 256), unit(test[:70] / 256)
kernel = lambda p, q: np.exp(-((p[:, None] - q[None]) ** 2).sum(-1) / 200).mean()
cmmd = 1000 * (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))

logits = rng.normal(size=(50, 8)) * 2
p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
score = np.exp((p * np.log(p / p.mean(0))).sum(1).mean())

nan = lambda values: [None if v is None or np.isnan(v) else float(v) for v in values]
golden = {
    "counts": counts.tolist(),
    "profile": {
        "total": int(counts.sum()), "coverage": int((counts > 0).sum()), "lt500": int((counts < 500).sum()),
        "ls5pct": float(np.sort(counts)[::-1][:2].sum() / counts.sum()),
        "effective": float(np.exp(-(shares * np.log(shares)).sum())),
        "gini": float(differences / (2 * counts.mean())),
    },
    "truth": truth.tolist(), "predicted": predicted.tolist(),
    "precision": nan(precision), "recall": nan(recall), "skewness": nan(skewness),
    "a": nan(a), "b": nan(b),
    "pearson": float(stats.pearsonr(a[both], b[both])[0]),
    "spearman": float(stats.spearmanr(a[both], b[both])[0]),
    "train": train.astype(int).tolist(), "train_labels": labels.tolist(),
    "test": test.astype(int).tolist(), "test_labels": test_labels.tolist(),
    "knn_right": accuracy, "cmmd": float(cmmd),
    "probabilities": p.tolist(), "inception_score": float(score),
}
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "properties.json"), "w") as file:
    json.dump(golden, file)
    file.write("\n")
