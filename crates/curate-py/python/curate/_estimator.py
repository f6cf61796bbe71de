"""k-means with scikit-learn's interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (  # type: ignore[import-untyped,unused-ignore]
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.utils.validation import (  # type: ignore[import-untyped,unused-ignore]
    check_is_fitted,
    validate_data,
)

from curate._curate import Clusters, kmeans

_FLOATS = [np.float32, np.float64, np.float16]


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator):  # type: ignore[misc,unused-ignore]
    """k-means with scikit-learn's interface, and curate's speed and repeatability.

    Parameters
    ----------
    n_clusters : int
    metric : "euclidean" (default) or "spherical"
    init : "plus-plus" (default), "random" or "levels"
        As scikit-learn's "k-means++" and "random".
    max_iter : int
    tol : float
        Stop when the objective improves by less than this share of itself.
    random_state : int
        The seed. The same seed gives the same bytes on every machine.

    Attributes
    ----------
    cluster_centers_ : float32 of shape (n_clusters, n_features)
    labels_ : int64 of shape (n_samples,)
    inertia_ : float
    n_iter_ : int
    """

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        metric: str = "euclidean",
        init: str = "plus-plus",
        max_iter: int = 300,
        tol: float = 1e-5,
        random_state: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.metric = metric
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> KMeans:
        """Clusters the rows of X, of shape (n_samples, n_features)."""
        X = validate_data(self, X, dtype=_FLOATS)
        self._clusters: Clusters = kmeans(
            X,
            self.n_clusters,
            metric=self.metric,
            init={"k-means++": "plus-plus"}.get(self.init, self.init),
            iterations=self.max_iter,
            tolerance=self.tol,
            seed=0 if self.random_state is None else self.random_state,
            norm="any",
        )
        self.cluster_centers_ = self._clusters.centroids
        self.labels_ = self._clusters.labels
        self.inertia_ = self._clusters.inertia
        self.n_iter_ = len(self._clusters.objective)
        return self

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The nearest centroid of each row: int64 of shape (n_samples,)."""
        check_is_fitted(self)
        labels: NDArray[np.int64] = self._clusters.predict(
            validate_data(self, X, dtype=_FLOATS, reset=False)
        )
        return labels

    def transform(self, X: Any) -> NDArray[Any]:
        """Distances to all centroids, of shape (n_samples, n_clusters): Euclidean, or 1 - cosine."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_FLOATS, reset=False)
        rows, centers = X.astype(np.float64), self.cluster_centers_.astype(np.float64)
        if self.metric == "spherical":
            lengths = np.linalg.norm(rows, axis=1, keepdims=True)
            return np.asarray(1 - rows @ centers.T / np.where(lengths > 0, lengths, 1))
        squares = (rows**2).sum(1)[:, None] - 2 * rows @ centers.T + (centers**2).sum(1)
        return np.asarray(np.sqrt(np.maximum(squares, 0)))

    def score(self, X: Any, y: Any = None) -> float:
        """The negative inertia of X."""
        distances = self.transform(X).min(axis=1)
        return -float((distances if self.metric == "spherical" else distances**2).sum())

    @property
    def _n_features_out(self) -> int:
        return int(self.cluster_centers_.shape[0])
