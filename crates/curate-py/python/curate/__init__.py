"""Decide which samples of a web-scale image-text pool to train on.

>>> import numpy, curate
>>> X = numpy.random.default_rng(0).normal(size=(1000, 16)).astype(numpy.float32)
>>> X /= numpy.linalg.norm(X, axis=1, keepdims=True)
>>> result = curate.SemanticDedup(epsilon=0.1, seed=0).run(X)
>>> len(result.rethreshold(0.3)) < len(result)  # another threshold costs nothing
True

Arrays are read where they lie; work releases the interpreter's lock, and Ctrl-C ends it. Results do not
depend on the number of threads, and are those of the program `curate` to the byte.
"""

from typing import TYPE_CHECKING, Any

from curate import ray as ray
from curate import tasks as tasks
from curate._curate import (
    Baseline,
    BaselineSubset,
    Clusters,
    ConceptPrune,
    Deduplicated,
    Embedding,
    Explanation,
    Group,
    LawFit,
    Network,
    Pairs,
    Pool,
    Pruned,
    Reason,
    Recipe,
    Reselection,
    Run,
    Sample,
    Scored,
    Selected,
    SemanticDedup,
    Table,
    as_ids,
    assign,
    compare,
    explain,
    fit_law,
    id_texts,
    inspect,
    intersect,
    key_ids,
    kmeans,
    laws,
    minus,
    read_subset,
    reshard,
    run,
    select,
    set_threads,
    subset_info,
    threads,
    union,
    write_subset,
)
from curate._errors import (
    CurateError,
    FileError,
    InputError,
    NetworkError,
    NotReady,
    ParamsError,
    RecipeError,
    RunError,
    ScalingError,
)
from curate._selected_samples import Chosen
from curate._semdedup import semdedup
from curate._show import gallery

if TYPE_CHECKING:
    from curate._estimator import KMeans as KMeans

__all__ = [
    "Baseline",
    "BaselineSubset",
    "Chosen",
    "Clusters",
    "ConceptPrune",
    "CurateError",
    "Deduplicated",
    "Embedding",
    "Explanation",
    "FileError",
    "Group",
    "InputError",
    "LawFit",
    "Network",
    "NetworkError",
    "NotReady",
    "Pairs",
    "ParamsError",
    "Pool",
    "Pruned",
    "Reason",
    "Recipe",
    "RecipeError",
    "Reselection",
    "Run",
    "RunError",
    "Sample",
    "ScalingError",
    "Scored",
    "Selected",
    "SemanticDedup",
    "Table",
    "as_ids",
    "assign",
    "compare",
    "explain",
    "fit_law",
    "gallery",
    "id_texts",
    "inspect",
    "intersect",
    "key_ids",
    "kmeans",
    "laws",
    "minus",
    "ray",
    "read_subset",
    "reshard",
    "run",
    "select",
    "semdedup",
    "set_threads",
    "subset_info",
    "tasks",
    "threads",
    "union",
    "write_subset",
]


def __getattr__(name: str) -> Any:
    """`KMeans` needs scikit-learn, which takes a second to import and may be missing."""
    if name == "KMeans":
        try:
            from curate._estimator import KMeans
        except ImportError as error:
            raise ImportError("curate.KMeans needs scikit-learn: pip install scikit-learn") from error
        return KMeans
    raise AttributeError(f"module 'curate' has no attribute {name!r}")
