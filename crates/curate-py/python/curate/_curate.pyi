"""
What is written in Rust of the package `curate`.
"""

from _typeshed import SupportsGetItem
from os import PathLike
from pathlib import Path
from curate._progress import Progress
from typing import Any, SupportsFloat, SupportsIndex, final
from numpy.typing import NDArray
from typing_extensions import CapsuleType, disjoint_base

__all__ = ["Baseline", "BaselineSubset", "Clusters", "ConceptPrune", "Deduplicated", "Embedding", "Explanation", "Group", "LawFit", "Network", "Pairs", "Plan", "Pool", "Pruned", "Reason", "Recipe", "Reselection", "Run", "Sample", "Scored", "Selected", "SemanticDedup", "Status", "Step", "Table", "Worker", "_program", "as_ids", "assign", "compare", "explain", "fit_law", "id_texts", "inspect", "intersect", "key_ids", "kmeans", "laws", "minus", "plan", "read_subset", "reshard", "run", "select", "set_threads", "subset_info", "threads", "union", "write_subset"]

@final
class Baseline:
    """
    One of DataComp's filtering baselines (arXiv 2304.14108), whose subset files are its own byte for byte.

    Parameters
    ----------
    rule : str
        "no_filter", "random_subset", "basic_filter", "clip_score", "laion2b", "text_based",
        "image_based" or "image_based_intersect_clip_score".
    arch : "b32" or "l14", optional
        Whose CLIP score is cut.
    threshold : float, optional
    fraction : float, optional
        Keeps rows of at least the score at this share from the top; the share of random_subset.
    seed : int, optional
        Of random_subset.
    language_model : path, optional
        A fastText model, such as lid.176.bin. Without one a built-in identifier names languages, which
        gives another subset than DataComp's.
    wordnet, entity_ids : paths, optional
        WordNet 3.0's folder and the list of ids, for text_based.
    morphy : "one-step" (default) or "repeated"
    centroids, target_features : paths of npy files, optional
        For image_based.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, rule: str, *, arch: str | None = None, threshold: SupportsFloat | SupportsIndex | None = None, fraction: SupportsFloat | SupportsIndex | None = None, seed: SupportsIndex | None = None, language_model: str | PathLike[str] | None = None, wordnet: str | PathLike[str] | None = None, entity_ids: str | PathLike[str] | None = None, morphy: str = "one-step", centroids: str | PathLike[str] | None = None, target_features: str | PathLike[str] | None = None) -> Baseline: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> Baseline: ...
    def run(self, /, metadata: str | PathLike[str], *, progress: bool | Progress | None = None) -> Selected:
        """
        A verdict on every row of a folder of metadata shards, one shard after the other; `cause` says by
        which part of the rule a row went. Holds 44 bytes a row: `subset` is for pools too large for that.
        """
    def subset(self, /, metadata: str | PathLike[str], *, progress: bool | Progress | None = None) -> BaselineSubset:
        """
        The ids that the rule keeps of a folder of metadata shards (`NAME.parquet`, and `NAME.npz` for the
        image-based rules).
        """

@final
class BaselineSubset:
    """
    The ids that a baseline keeps.
    """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def dropped(self, /) -> dict[str, int]:
        """
        Rows dropped, by the part of the rule that dropped them: a dictionary.
        """
    @property
    def ids(self, /) -> Any:
        """
        The ids, sorted, repeats included: an array of pairs `u8,u8`.
        """
    @property
    def rows(self, /) -> int:
        """
        Rows read.
        """
    @property
    def threshold(self, /) -> float | None:
        """
        The score from which rows stay.
        """
    def to_dict(self, /) -> Any:
        """
        All counts, as `curate baseline --json` tells them.
        """
    def write(self, /, path: str | PathLike[str]) -> None:
        """
        Writes the subset file, in the form of the path's ending.
        """

@final
class Clusters:
    """
    Rows in clusters, and the centroids.
    """
    def __len__(self, /) -> int: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> Clusters: ...
    @property
    def centroids(self, /) -> NDArray[Any]:
        """
        The centroids: float32 of shape (k, d); of length 1 when spherical.
        """
    @property
    def converged(self, /) -> bool:
        """
        True when the iterations stopped by themselves.
        """
    @property
    def distances(self, /) -> NDArray[Any]:
        """
        How far each of `rows` is from its centroid: float32; 1 - cosine when spherical, the squared
        distance when Euclidean.
        """
    @property
    def imbalance(self, /) -> float:
        """
        How uneven the clusters are: `k * sum(sizes ** 2) / n ** 2`, 1 when all have one size.
        """
    @property
    def inertia(self, /) -> float:
        """
        The sum of `distances`: scikit-learn's inertia and faiss's objective when Euclidean.
        """
    @property
    def k(self, /) -> int:
        """
        Number of clusters.
        """
    @property
    def labels(self, /) -> NDArray[Any]:
        """
        The cluster of each row: int64 of shape (n,), -1 for a row that is in none.
        """
    @property
    def metric(self, /) -> str:
        """
        "spherical" or "euclidean".
        """
    @property
    def objective(self, /) -> list[float]:
        """
        The mean distance of the training rows before each iteration.
        """
    def predict(self, /, X: Any, *, progress: bool | Progress | None = None) -> NDArray[Any]:
        """
        The nearest centroid of other vectors: int64 of shape (n,), -1 for vectors that cannot be used
        (NaN, infinite, zero when spherical).
        """
    @property
    def reseeded(self, /) -> int:
        """
        How often an empty cluster took a row of another one.
        """
    @property
    def rows(self, /) -> NDArray[Any]:
        """
        The rows that are in a cluster, ascending: int64.
        """
    def save(self, /, path: str | PathLike[str]) -> None:
        """
        Writes the centroids by the path's ending (`.npy`), as a run's `centroids.npy`.
        """
    @property
    def sizes(self, /) -> NDArray[Any]:
        """
        Rows in each cluster: int64 of shape (k,).
        """

@final
class ConceptPrune:
    """
    Concept-complexity pruning (density-based pruning, arXiv 2401.04578): clusters that are spread out and
    far from others keep more of their rows.

    Parameters
    ----------
    fraction : float
        Keeps this share of the rows given. Either this or `count`.
    count : int
        Keeps exactly so many rows.
    preset : "paper" (default) or "code"
        Temperature and balance as the paper reports them (0.1, 0) or as its code has them (0.5, 0.5).
    temperature : float, optional
        Of the softmax over complexities; the lower, the more complex clusters keep.
    balance : float, optional
        The share of an even quota that every cluster is guaranteed, from 0 to 1.
    neighbors : int, optional
        Nearest other centroids that count for a cluster's distance to its neighbors; 20 unless given.
    share : "complexity" (default), "uniform" or "size"
    preference : "hard" (default), "easy" or "random"
        Which rows of a cluster stay first: those far from its centroid, near it, or by a hash.
    pick : "first" (default) or "stratified"
    control : str, optional
        A baseline on the same clusters instead: "ssp", "ssp-balanced", "uniform", "proportional",
        "random" or "stratified".
    clusters : int, optional
        Number of clusters; the cube root of the number of rows unless given.
    iterations, tolerance, train_rows_per_cluster, batch_rows
        As in `kmeans`.
    seed : int

    Examples
    --------
    >>> import numpy, curate
    >>> X = numpy.random.default_rng(0).normal(size=(400, 8)).astype(numpy.float32)
    >>> len(curate.ConceptPrune(fraction=0.6).run(X, norm="any"))
    240
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, *, fraction: SupportsFloat | SupportsIndex | None = None, count: SupportsIndex | None = None, preset: str = "paper", temperature: SupportsFloat | SupportsIndex | None = None, balance: SupportsFloat | SupportsIndex | None = None, neighbors: SupportsIndex | None = None, share: str = "complexity", preference: str = "hard", pick: str = "first", control: str | None = None, clusters: SupportsIndex | None = None, iterations: SupportsIndex | None = None, tolerance: SupportsFloat | SupportsIndex | None = None, train_rows_per_cluster: SupportsIndex | None = None, batch_rows: SupportsIndex | None = None, seed: SupportsIndex = 0) -> ConceptPrune: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> ConceptPrune: ...
    def run(self, /, X: Any, *, ids: Any | None = None, clusters: Clusters | None = None, rows: Any | None = None, norm: str = "require-unit", progress: bool | Progress | None = None) -> Pruned:
        """
        Clusters vectors into concepts and keeps rows of each.

        Parameters
        ----------
        X : vectors of shape (n, d)
            As in `kmeans`.
        ids : ids of the rows, optional
        clusters : Clusters, optional
            Clusters that are there already, for example those of a deduplication.
        rows : row numbers or a mask, optional
            The rows to look at, for example what a deduplication selected.
        norm : "require-unit" (default) or "any"
        progress : bool or callable, optional

        Returns
        -------
        Pruned
        """

@final
class Deduplicated(Selected):
    """
    What semantic deduplication keeps at one threshold. Another threshold is a view on the same search
    and costs one comparison a row.
    """
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    @staticmethod
    def _restore(state: bytes) -> Deduplicated: ...
    @property
    def clusters(self, /) -> Clusters:
        """
        The clusters in which rows were compared.
        """
    def count(self, /, n: SupportsIndex) -> Deduplicated:
        """
        The same search with exactly `n` rows kept, the least duplicated ones: a new result. Bad rows and
        collapsed copies stay out, so it may be fewer.
        """
    @property
    def duplicate_ratio(self, /) -> float:
        """
        The share of the rows given that went.
        """
    @property
    def epsilon(self, /) -> float | None:
        """
        The epsilon of this view, if it is cut by one.
        """
    @property
    def exact_duplicate_ratio(self, /) -> float:
        """
        The share of the rows given that are copies to the bit; 0 unless they were collapsed.
        """
    @property
    def faulty(self, /) -> NDArray[Any]:
        """
        Rows whose vectors could not be used, ascending: int64. `cause` says what is wrong with each.
        """
    def fraction(self, /, fraction: SupportsFloat | SupportsIndex) -> Deduplicated:
        """
        The same search with a share of all rows given kept: a new result.
        """
    def groups(self, /, n: SupportsIndex = 10) -> list[Group]:
        """
        The `n` largest groups of duplicates, the largest first: a list of `Group`.
        """
    @property
    def nearest(self, /) -> NDArray[Any]:
        """
        Each row's most similar preferred row: int64 of shape (n,), -1 where there is none.
        """
    def recall(self, /, epsilon: SupportsFloat | SupportsIndex | None = None) -> float | None:
        """
        How many of all duplicates at an epsilon the search found, measured on a sample of rows; `None`
        where no other clusters were probed.
        """
    def rethreshold(self, /, epsilon: SupportsFloat | SupportsIndex) -> Deduplicated:
        """
        The same search at another epsilon, from 0 to 1: a new result.
        """
    @property
    def similarities(self, /) -> NDArray[Any]:
        """
        Each row's largest cosine to a row preferred to it: float32 of shape (n,), at least 0; NaN for a
        row that was not compared.
        """

@final
class Embedding:
    """
    An embedding of a pool: vectors that are read where they lie on disk, float32 when read.

    Methods take it where they take arrays, so that vectors need not fit into memory.
    """
    def __array__(self, /, dtype: Any | None = None, copy: bool | None = None) -> Any: ...
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    def read(self, /, rows: Any | None = None) -> NDArray[Any]:
        """
        Some rows as an array, float32 of shape (n, d), in ascending order; all rows unless given.
        """
    @property
    def shape(self, /) -> tuple[int, int]:
        """
        Rows and numbers in each.
        """

@final
class Explanation:
    """
    What happened to a sample; its text is what `curate explain` prints.
    """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str: ...
    @property
    def id(self, /) -> str:
        """
        The sample's id.
        """
    @property
    def kept(self, /) -> bool:
        """
        Whether it stays.
        """
    @property
    def row(self, /) -> int:
        """
        Its row in the pool.
        """
    @property
    def steps(self, /) -> list[dict[str, Any]]:
        """
        The stages that saw it: dictionaries of `stage`, `kind`, `value`, `threshold`, `meaning`, `cluster`,
        `nearest` and `rule`, the rule being None where it stays.
        """

@final
class Group:
    """
    Rows that are duplicates of one that stays.
    """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def duplicates(self, /) -> list[int]:
        """
        The rows that went for it, directly or for a row that went for it, ascending.
        """
    @property
    def kept(self, /) -> int:
        """
        The row that stays.
        """

@final
class LawFit:
    """
    A scaling law that was fitted to runs, or several that answer together, with their doubt.
    """
    def __reduce__(self, /) -> tuple[Any, tuple[str]]: ...
    def __repr__(self, /) -> str: ...
    def _repr_svg_(self, /) -> str | None: ...
    @staticmethod
    def _restore(text: str) -> LawFit: ...
    def decide(self, /, samples: SupportsFloat | SupportsIndex, candidates: SupportsGetItem[int, str] | None = None, *, level: SupportsFloat | SupportsIndex = 0.9) -> Table:
        """
        Which candidate is best after a number of samples: a table, best first, with the columns
        `candidate`, `metric`, `low`, `high`, `wins` (the share of draws in which it is the best), `regret`
        (the mean loss against each draw's best), `multiplier` (how many times more samples it needs to
        do as well as the best), `inside` (whether the runs span the question) and `tied` (whether it is
        predicted equal to the best, so that nothing tells the two apart).
        """
    @property
    def law(self, /) -> str:
        """
        The law's name, or those of several with their shares of the draws.
        """
    @property
    def left_out(self, /) -> dict[str, str]:
        """
        The laws that were not weighed, by name, with the reason; empty where the law was named.
        """
    @staticmethod
    def load(path: str | PathLike[str]) -> LawFit:
        """
        Reads a fit that was saved, by this package or the program.
        """
    def parameters(self, /, level: SupportsFloat | SupportsIndex = 0.9) -> Table:
        """
        The parameters of the law, or of the heaviest of several, with intervals: a table with the columns `parameter`, `value`, `low`, `high`; the
        last two are missing without draws.
        """
    def plot(self, /, path: str | PathLike[str] | None = None, *, candidates: SupportsGetItem[int, str] | None = None, range: tuple[SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex] | None = None, points: SupportsIndex = 200, level: SupportsFloat | SupportsIndex = 0.9, title: str | None = None) -> str:
        """
        The curves of candidates as SVG, with their bands and the runs: the text, which is also written to
        `path` where one is given.
        """
    @property
    def pools(self, /) -> list[str]:
        """
        The pools that were fitted.
        """
    def predict(self, /, samples: SupportsFloat | SupportsIndex | SupportsGetItem[int, SupportsFloat | SupportsIndex], candidates: SupportsGetItem[int, str] | None = None, *, level: SupportsFloat | SupportsIndex = 0.9) -> Table:
        """
        The metric of candidates after numbers of samples: a table, a row for each pair, with the columns
        `candidate`, `samples`, `metric`, `low`, `high` (of the curve), `new_run_low`, `new_run_high` (of a
        new measurement) and `outside`, which says where the question lies outside what the runs span.

        Parameters
        ----------
        samples : float or list of float
            Samples seen, in the unit of the table of runs.
        candidates : list of str, optional
            Pools, or unions as "good+fair"; all pools unless given.
        level : float
        """
    def save(self, /, path: str | PathLike[str]) -> None:
        """
        Writes the fit, as `curate plan fit` does.
        """
    def switches(self, /, candidates: SupportsGetItem[int, str] | None = None, *, range: tuple[SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex] | None = None, level: SupportsFloat | SupportsIndex = 0.9) -> Table:
        """
        Where the best candidate changes over a range of samples: a table with the columns `from`, `to`,
        `samples`, `low`, `high` and `never`, the share of draws in which it does not.
        """
    @property
    def tried(self, /) -> Any:
        """
        Every law that was weighed, the heaviest first: dictionaries; empty where the law was named.
        """
    @property
    def warnings(self, /) -> list[str]:
        """
        What should be known before the fit is trusted.
        """

@final
class Network:
    """
    A two-tower network of open_clip (or transformers' CLIPModel), on the CPU.

    Parameters
    ----------
    folder : path
        For example what `huggingface_hub.snapshot_download` answers: with open_clip's `open_clip_config.json` and its weights as safetensors, or transformers' files.
    precision : {"f32", "bf16", "int8"}, default "f32"
        What the linear layers multiply: bf16 (where the processor multiplies it) and int8 (with AVX2) are faster, and scores are a little off.
    """
    def __new__(cls, /, folder: str | PathLike[str], *, precision: str = "f32") -> Network: ...
    def __repr__(self, /) -> str: ...
    @property
    def dim(self, /) -> int:
        """
        Length of an embedding.
        """
    def embed_images(self, /, images: SupportsGetItem[int, Any], *, progress: bool | Progress | None = None) -> NDArray[Any]:
        """
        Embeddings of images: float32 of shape (n, dim), of length 1.

        Parameters
        ----------
        images : list
            Of each image the bytes of a file, its path, or a PIL image (which is encoded as PNG, without
            loss). They are decoded and resized as open_clip does it.
        progress : bool or callable, optional
        """
    def embed_texts(self, /, texts: SupportsGetItem[int, str], *, progress: bool | Progress | None = None) -> NDArray[Any]:
        """
        Embeddings of captions: float32 of shape (n, dim), of length 1.
        """
    def embed_transformed(self, /, images: Any, *, progress: bool | Progress | None = None) -> NDArray[Any]:
        """
        Embeddings of images that are transformed already, for example by open_clip's `preprocess`: float32
        of shape (n, dim), of length 1.

        Parameters
        ----------
        images : float32 of shape (n, 3, image_size, image_size)
        progress : bool or callable, optional
        """
    @property
    def fingerprint(self, /) -> str:
        """
        What decides its outputs, as one SHA-256.
        """
    @property
    def image_size(self, /) -> int:
        """
        Height and width of the images that it sees.
        """
    def score_pairs(self, /, pool: Pool, rows: Any | None = None, *, progress: bool | Progress | None = None) -> Pairs:
        """
        The cosine of image and caption of rows of a pool: `Pairs`, which any cut is a view on.

        Parameters
        ----------
        pool : Pool
        rows : row numbers or a mask, optional
        progress : bool or callable, optional
        """

@final
class Pairs:
    """
    The scores of pairs of a pool.
    """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def rows(self, /) -> NDArray[Any]:
        """
        The rows of the pool that were scored, ascending: int64.
        """
    @property
    def scores(self, /) -> NDArray[Any]:
        """
        The score of each of `rows`: float32; NaN for a pair that cannot be scored.
        """
    def select(self, /, *, threshold: SupportsFloat | SupportsIndex | None = None, fraction: SupportsFloat | SupportsIndex | None = None, count: SupportsIndex | None = None) -> Selected:
        """
        The pairs that stay: one of `threshold`, `fraction` and `count`.
        """

@final
class Plan:
    """
    A run that is cut into tasks: steps, each after the one before, of tasks that do not wait for each
    other. `Plan.open` opens one, `curate.tasks.plan` makes one.
    """
    def __reduce__(self, /) -> tuple[Any, tuple[Path]]: ...
    def __repr__(self, /) -> str: ...
    def collect(self, /, everything: bool = False) -> Any:
        """
        Removes what nobody needs any more: artefacts of stages that are put together, and what killed
        processes left. With `everything`, all artefacts of a finished run; its run folder stays.
        Returns a dictionary: how many `files`, of how many `bytes`.
        """
    @property
    def fingerprint(self, /) -> str:
        """
        What tells this plan from any other: a digest of the recipe, the pool, the ranges and the steps.
        """
    @property
    def folder(self, /) -> Path:
        """
        The plan's folder.
        """
    @staticmethod
    def open(folder: str | PathLike[str]) -> Plan:
        """
        Opens the plan in a folder.
        """
    def resume(self, /, *, progress: bool | Progress | None = None) -> int:
        """
        Carries out all tasks that are not done, one after the other; returns how many that were.
        """
    @property
    def rows(self, /) -> int:
        """
        Rows of the pool.
        """
    @property
    def run_folder(self, /) -> Path:
        """
        The run folder: `curate.Run(plan.run_folder)` once the last step is done.
        """
    def status(self, /) -> Status:
        """
        Which tasks are done, running, failed or missing, by what their receipts say.
        """
    @property
    def steps(self, /) -> list[Step]:
        """
        The steps, in order.
        """
    def verify(self, /, *, progress: bool | Progress | None = None) -> Any:
        """
        Reads every artefact and what finished stages left: a dictionary, as `curate tasks verify --json`
        tells it. `whole` is how many artefacts are what was written, `damaged` says what is wrong with
        the others, `foreign` are files that no task writes.
        """

@final
class Pool:
    """
    A pool of samples on disk: DataComp, WebDataset, clip-retrieval, Parquet, JSON lines, npy, HDF5.

    Parameters
    ----------
    path : path, pattern or URL
        A folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
    format : str, optional
        The layout; the files tell unless given.
    bad_shards : "error" (default) or "skip"
    ids : "key" or "shard-and-key", optional
        What ids are made from where samples have keys and no uid.
    progress : bool or callable, optional
    """
    def __len__(self, /) -> int: ...
    def __new__(cls, /, path: str | PathLike[str], *, format: str | None = None, bad_shards: str = "error", ids: str | None = None, progress: bool | Progress | None = None) -> Pool: ...
    def __repr__(self, /) -> str: ...
    def column(self, /, name: str) -> Any:
        """
        A column of numbers, one for each row: float32 where every shard has it so, else float64; NaN where
        there is none.
        """
    @property
    def column_names(self, /) -> list[str]:
        """
        The names of the columns of numbers.
        """
    def embedding(self, /, name: str) -> Embedding:
        """
        An embedding: one vector for each row.
        """
    @property
    def embedding_names(self, /) -> list[str]:
        """
        The names of the embeddings that every shard has.
        """
    @property
    def faults(self, /) -> Table:
        """
        Rows that cannot be used: a table with the columns `row` and `fault`.
        """
    @property
    def format(self, /) -> Any:
        """
        The layout.
        """
    @property
    def ids(self, /) -> Any:
        """
        The id of each row: an array of pairs `u8,u8`, the high and the low half, as DataComp's subset
        files have them. `curate.id_texts` writes them out.
        """
    @property
    def notes(self, /) -> list[str]:
        """
        What a person should know of files whose rows can be used all the same.
        """
    @property
    def path(self, /) -> Path:
        """
        The path that was opened.
        """
    def row_of(self, /, id: str) -> int | None:
        """
        The row of an id (32 hexadecimal digits) or a key; `None` when there is none.
        """
    def samples(self, /, rows: Any, *, images: bool = False) -> list[Sample]:
        """
        Samples by row number, with their images where `images` is true.
        """
    @property
    def skipped(self, /) -> list[tuple[str, str]]:
        """
        Shards that were left out: (name, reason).
        """

@final
class Pruned(Selected):
    """
    What pruning keeps for one number of rows. Another number is a view on the same clusters.
    """
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    @staticmethod
    def _restore(state: bytes) -> Pruned: ...
    @property
    def clusters(self, /) -> Clusters:
        """
        The concepts.
        """
    @property
    def complexity(self, /) -> NDArray[Any]:
        """
        How complex each concept is: float64 of shape (k,), its mean distance to its centroid times that of
        its centroid to the nearest others.
        """
    def count(self, /, n: SupportsIndex) -> Pruned:
        """
        The same clusters with exactly `n` rows kept: a new result.
        """
    @property
    def counts(self, /) -> NDArray[Any]:
        """
        Rows that each concept keeps: int64 of shape (k,).
        """
    def fraction(self, /, fraction: SupportsFloat | SupportsIndex) -> Pruned:
        """
        The same clusters with a share of all rows given kept: a new result.
        """
    @property
    def quotas(self, /) -> Table | None:
        """
        A row a concept: its `size`, the `least` it has to keep, the `share` asked for it, that share of
        the rows kept (`goal`), the optimum under the bounds (`exact`) and its `quota`. `None` for a
        control.
        """

@final
class Reason:
    """
    Why one row went.
    """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str: ...
    @property
    def cause(self, /) -> int | None:
        """
        The row that caused the removal, for example the duplicate that is preferred.
        """
    @property
    def cause_id(self, /) -> str | None:
        """
        The id of that row, where ids were given.
        """
    @property
    def cluster(self, /) -> int | None:
        """
        The cluster in which the row was judged.
        """
    @property
    def id(self, /) -> str | None:
        """
        Its id, where ids were given.
        """
    @property
    def row(self, /) -> int:
        """
        The row.
        """
    @property
    def rule(self, /) -> str:
        """
        The rule, for example `semantic-duplicate`.
        """
    @property
    def threshold(self, /) -> float | None:
        """
        What the number was compared with.
        """
    @property
    def value(self, /) -> float | None:
        """
        The row's number under the rule, for example a cosine.
        """

@final
class Recipe:
    """
    A recipe: a pool and a list of stages.

    Parameters
    ----------
    recipe : str or dict
        TOML as in the book's chapter on recipes, or the same as a dictionary; a relative pool path starts
        at the working folder. `Recipe.read` reads a file.

    Examples
    --------
    >>> import curate
    >>> curate.Recipe({
    ...     "pool": {"path": "pool"},
    ...     "stage": [{"kind": "semantic-dedup", "embedding": "l14_img", "epsilon": 0.07}],
    ... }).stages
    [('semantic-dedup', 'dedup')]
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, recipe: Any) -> Recipe: ...
    def __reduce__(self, /) -> tuple[Any, tuple[str]]: ...
    def __repr__(self, /) -> str: ...
    @property
    def name(self, /) -> str:
        """
        The recipe's name.
        """
    def needs(self, /, *, progress: bool | Progress | None = None) -> Any:
        """
        What a run will need (rows, memory, disk, operations): opens the pool, computes nothing.
        """
    @property
    def pool(self, /) -> Path:
        """
        The pool's path.
        """
    @staticmethod
    def read(path: str | PathLike[str]) -> Recipe:
        """
        Reads a TOML file; a relative pool path starts at the file's folder.
        """
    @staticmethod
    def schema() -> Any:
        """
        The JSON Schema of recipes.
        """
    @property
    def seed(self, /) -> int:
        """
        The seed of all random draws.
        """
    @property
    def stages(self, /) -> list[tuple[str, str]]:
        """
        Kind and name of each stage.
        """
    def to_toml(self, /) -> str:
        """
        The recipe as TOML, with every default.
        """
    def with_pool(self, /, path: str | PathLike[str]) -> Recipe:
        """
        The same recipe for another pool.
        """

@final
class Reselection:
    """
    What another cut of a finished stage keeps.
    """
    def __len__(self, /) -> int: ...
    def __repr__(self, /) -> str: ...
    @property
    def given(self, /) -> int:
        """
        Rows that the stage was given.
        """
    @property
    def ids(self, /) -> Any:
        """
        Their ids: an array of pairs `u8,u8`.
        """
    @property
    def selected(self, /) -> NDArray[Any]:
        """
        The rows of the pool that stay: int64.
        """
    @property
    def stage(self, /) -> str:
        """
        The stage whose numbers decided.
        """
    @property
    def threshold(self, /) -> float | None:
        """
        The number of the worst row that stays.
        """
    def write(self, /, path: str | PathLike[str]) -> None:
        """
        Writes a subset file, in the form of the path's ending.
        """

@final
class Run:
    """
    A finished run.

    Parameters
    ----------
    folder : path
        The folder that `run`, or the program, wrote.
    progress : bool or callable, optional
    """
    def __len__(self, /) -> int: ...
    def __new__(cls, /, folder: str | PathLike[str], *, progress: bool | Progress | None = None) -> Run: ...
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str: ...
    @property
    def evidence(self, /) -> Table:
        """
        Why each row that does not stay went: the table of `evidence.parquet`.
        """
    def explain(self, /, id: str) -> Explanation:
        """
        What each stage said of a sample, by its id (32 hexadecimal digits) or its key.
        """
    @property
    def folder(self, /) -> Path:
        """
        The folder.
        """
    @property
    def ids(self, /) -> Any:
        """
        Their ids: an array of pairs `u8,u8`.
        """
    @property
    def notes(self, /) -> list[str]:
        """
        What a person should know of the pool's files although their rows can be used.
        """
    @property
    def quarantined(self, /) -> int:
        """
        How many rows were set aside when the pool was read.
        """
    @property
    def recipe(self, /) -> Recipe:
        """
        The recipe with every default.
        """
    @property
    def removed(self, /) -> dict[str, dict[str, int]]:
        """
        How many rows each rule removed, by stage: a dictionary of dictionaries.
        """
    @property
    def reused(self, /) -> list[str]:
        """
        Names of stages that were read instead of computed, by the call that made this object.
        """
    @property
    def rows(self, /) -> int:
        """
        Rows of the pool.
        """
    def select(self, /, stage: str | None = None, *, epsilon: SupportsFloat | SupportsIndex | None = None, threshold: SupportsFloat | SupportsIndex | None = None, fraction: SupportsFloat | SupportsIndex | None = None, count: SupportsIndex | None = None) -> Reselection:
        """
        Another cut of a finished stage, without computing it again: one of `epsilon`, `threshold`,
        `fraction` and `count`. Without a stage's name, of the last stage that has such numbers.
        """
    @property
    def selected(self, /) -> NDArray[Any]:
        """
        The rows of the pool that stay: int64.
        """
    @property
    def stages(self, /) -> Table:
        """
        The stages, a row each: `name`, `kind`, `rows_in`, `rows_out`, `seconds`.
        """

@final
class Sample:
    """
    A sample of a pool.
    """
    def __repr__(self, /) -> str: ...
    @property
    def caption(self, /) -> str | None:
        """
        Its caption.
        """
    @property
    def fields(self, /) -> dict[str, str]:
        """
        What else is known of it, by name.
        """
    @property
    def id(self, /) -> str:
        """
        32 hexadecimal digits.
        """
    @property
    def image(self, /) -> bytes | None:
        """
        The bytes of its image file, where images were asked for.
        """
    @property
    def key(self, /) -> str | None:
        """
        Its key in a WebDataset shard.
        """
    @property
    def shard(self, /) -> str:
        """
        The shard that holds it.
        """

@final
class Scored(Selected):
    """
    What a cut of scores keeps. Another cut of the same scores is a view.
    """
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    @staticmethod
    def _restore(state: bytes) -> Scored: ...
    def count(self, /, n: SupportsIndex) -> Scored:
        """
        The same scores with so many rows kept: a new result.
        """
    def fraction(self, /, fraction: SupportsFloat | SupportsIndex) -> Scored:
        """
        The same scores with a share of the rows kept: a new result.
        """
    def rethreshold(self, /, threshold: SupportsFloat | SupportsIndex) -> Scored:
        """
        The same scores at another threshold: a new result.
        """
    @property
    def scores(self, /) -> Any:
        """
        The scores: float16, float32 or float64 of shape (n,), as they came.
        """

@disjoint_base
class Selected:
    """
    Which of the rows that were given stay, and why the others went.

    All rows are numbers of rows of the array that was given, from 0.
    """
    def __contains__(self, row: SupportsIndex, /) -> bool: ...
    def __len__(self, /) -> int: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> Selected: ...
    def cause(self, /, row: SupportsIndex) -> Reason | None:
        """
        Why a row went; `None` for a row that stays.

        Raises `InputError` for a row that was not given.
        """
    @property
    def evidence(self, /) -> Table:
        """
        Why each row that does not stay went, a row of the table each, in row order: a `Table` with the
        columns `uid`, `row`, `rule`, `value`, `threshold`, `cause_uid`, `cause_row`, `cluster`, as in a
        run's `evidence.parquet`.
        """
    @property
    def given(self, /) -> NDArray[Any]:
        """
        The rows that were given, ascending: int64 of shape (n + m,).
        """
    @property
    def removed(self, /) -> NDArray[Any]:
        """
        The rows that were given and do not stay, ascending: int64 of shape (m,).
        """
    @property
    def removed_ids(self, /) -> Any:
        """
        The ids of the rows that do not stay, written as `selected_ids`.
        """
    @property
    def rules(self, /) -> dict[str, int]:
        """
        How many rows each rule removed: a dictionary.
        """
    @property
    def selected(self, /) -> NDArray[Any]:
        """
        The rows that stay, ascending: int64 of shape (n,).
        """
    @property
    def selected_ids(self, /) -> Any:
        """
        The ids of the rows that stay: an array of uint64 where ids were given as whole numbers, a list of
        32 hexadecimal digits each where they were texts, the row numbers where none were given.
        """
    @property
    def threshold(self, /) -> float | None:
        """
        The number of the worst row that stays, or the threshold itself; `None` where no number decided.
        """
    def write(self, /, path: str | PathLike[str]) -> None:
        """
        Writes the ids of the rows that stay as a subset file, as the program writes it: `.npy`
        (DataComp's), `.memmap`, `.parquet`, `.jsonl` or `.txt` by the path's ending.
        """

@final
class SemanticDedup:
    """
    Semantic deduplication (SemDeDup, arXiv 2303.09540): inside clusters, a row goes when its cosine to a
    row that is preferred to it is above `1 - epsilon`.

    Parameters
    ----------
    epsilon : float
        From 0 to 1; a larger one removes more. 0.05 unless `fraction` or `count` is given.
    fraction : float, optional
        Keeps this share of the rows, the least duplicated ones.
    count : int, optional
        Keeps so many rows.
    mode : "reference" (default) or "greedy"
        Whether a row is compared with all rows preferred to it, or with those that stay. Greedy needs an
        epsilon, and its result holds for that epsilon alone.
    preference : "hard" (default), "easy" or "random"
        Which of two duplicates stays: the one farther from its centroid, the nearer one, or one drawn by
        a hash of its id.
    exact_copies : "search" (default) or "collapse"
        "collapse" removes copies to the bit before anything is clustered.
    probes : int
        Compares each row also with so many of the nearest other clusters.
    clusters : int, optional
        Number of clusters; half the square root of the number of rows unless given.
    iterations, tolerance, init, train_rows_per_cluster, batch_rows, empty_clusters
        As in `kmeans`.
    seed : int

    Examples
    --------
    >>> import numpy, curate
    >>> X = numpy.array([[1, 0], [0.9998, 0.02], [0, 1]], numpy.float32)
    >>> result = curate.SemanticDedup(epsilon=0.05, clusters=1).run(X)
    >>> result.selected.tolist(), str(result.cause(1))
    ([0, 2], 'row 1: semantic-duplicate, 0.9998 against 0.95, because of row 0, in cluster 0')
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __new__(cls, /, *, epsilon: SupportsFloat | SupportsIndex | None = None, fraction: SupportsFloat | SupportsIndex | None = None, count: SupportsIndex | None = None, mode: str = "reference", preference: str = "hard", exact_copies: str = "search", probes: SupportsIndex = 0, clusters: SupportsIndex | None = None, iterations: SupportsIndex | None = None, tolerance: SupportsFloat | SupportsIndex | None = None, init: str | None = None, train_rows_per_cluster: SupportsIndex | None = None, batch_rows: SupportsIndex | None = None, empty_clusters: str | None = None, seed: SupportsIndex = 0) -> SemanticDedup: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> SemanticDedup: ...
    def run(self, /, X: Any, *, ids: Any | None = None, scores: Any | None = None, clusters: Clusters | None = None, rows: Any | None = None, norm: str = "require-unit", progress: bool | Progress | None = None) -> Deduplicated:
        """
        Finds the duplicates among vectors.

        Parameters
        ----------
        X : vectors of shape (n, d)
            As in `kmeans`.
        ids : ids of the rows, optional
        scores : numbers of shape (n,), optional
            Of two duplicates the one with the higher score stays, whatever the preference says.
        clusters : Clusters, optional
            Clusters that are there already; the rows are not clustered again.
        rows : row numbers or a mask, optional
            The rows to look at, for example what another method selected.
        norm : "require-unit" (default) or "any"
        progress : bool or callable, optional

        Returns
        -------
        Deduplicated
        """

@final
class Status:
    """
    What is done of a plan; its text is what `curate tasks status` prints.
    """
    def __repr__(self, /) -> str: ...
    def __str__(self, /) -> str: ...
    @property
    def is_done(self, /) -> bool:
        """
        Whether every task is done.
        """
    @property
    def steps(self, /) -> Any:
        """
        The steps, in order: dictionaries of `step`, `tasks`, `done`, and `open`, which lists the number
        of each task that is not done with its `state` (missing, running, stopped, failed, damaged) and
        the `reason`.
        """

@final
class Step:
    """
    A step of a plan: tasks that do not wait for each other, numbered from 0.
    """
    def __repr__(self, /) -> str: ...
    @property
    def after(self, /) -> str | None:
        """
        The step that has to be done before; None for the first.
        """
    @property
    def disk(self, /) -> int:
        """
        Bytes that one of its tasks leaves, at most.
        """
    @property
    def memory(self, /) -> int:
        """
        Bytes of memory that one of its tasks needs, at most.
        """
    @property
    def name(self, /) -> str:
        """
        Its name: `02-dedup.pass-07`.
        """
    @property
    def seconds(self, /) -> float:
        """
        Seconds that one of its tasks needs on one slow processor core, at most.
        """
    @property
    def stage(self, /) -> int | None:
        """
        The number of its stage, from 0; None for the last step.
        """
    @property
    def tasks(self, /) -> int:
        """
        How many tasks it has.
        """
    @property
    def work(self, /) -> str:
        """
        What its tasks do: rows, examine, usable, begin, train, pass, move, assign, search, stage, finish.
        """

@final
class Table:
    """
    A table: columns of equal length.

    It is Arrow data (`__arrow_c_stream__`), so `pyarrow.table(t)`, `polars.DataFrame(t)`,
    `pandas.DataFrame.from_arrow(t)` and DuckDB take it without a copy; `to_pandas` and the like do the
    same.
    """
    def __arrow_c_stream__(self, /, requested_schema: CapsuleType | None = None) -> CapsuleType: ...
    def __len__(self, /) -> int: ...
    def __reduce__(self, /) -> tuple[Any, tuple[bytes]]: ...
    def __repr__(self, /) -> str: ...
    def _repr_html_(self, /) -> str: ...
    @staticmethod
    def _restore(state: bytes) -> Table: ...
    def column(self, /, name: str) -> Any:
        """
        A column as a list; `None` where there is no value.
        """
    @property
    def column_names(self, /) -> list[str]:
        """
        The names of the columns.
        """
    def to_dict(self, /) -> dict[str, Any]:
        """
        A dictionary of lists by column name.
        """
    def to_pandas(self, /) -> Any:
        """
        A `pandas.DataFrame`; pandas and pyarrow have to be installed.
        """
    def to_polars(self, /) -> Any:
        """
        A `polars.DataFrame`; polars has to be installed.
        """
    def to_pyarrow(self, /) -> Any:
        """
        A `pyarrow.Table`; pyarrow has to be installed.
        """

@final
class Worker:
    """
    A process that carries out tasks of a plan. It opens the pool once, so one for many tasks is better
    than one for each. Calls from several threads work side by side.

    Parameters
    ----------
    folder : path
        The plan's.
    progress : bool or callable, optional
    """
    def __new__(cls, /, folder: str | PathLike[str], *, progress: bool | Progress | None = None) -> Worker: ...
    def __reduce__(self, /) -> tuple[Any, tuple[Path]]: ...
    def __repr__(self, /) -> str: ...
    @property
    def plan(self, /) -> Plan:
        """
        The plan, as it was when this was made.
        """
    def run(self, /, step: str, index: SupportsIndex = 0, *, progress: bool | Progress | None = None) -> str:
        """
        Carries out a task, unless what it leaves is there. Any process may, any number of times: a task
        always leaves the same bytes.

        Parameters
        ----------
        step : str
            The step's name.
        index : int
            The task's number, from 0.
        progress : bool or callable, optional

        Returns
        -------
        str
            "computed"; "present", when its artefact was there; "not-needed", when k-means had converged
            before.

        Raises
        ------
        NotReady
            An earlier step is not done, or what it left is damaged.
        """

def _program(words: SupportsGetItem[int, str]) -> int:
    """
    Carries out a command line of the program `curate`, whose name is the first word, and returns its exit
    code. Signals are the program's from then on: it is the whole work of a process.
    """

def as_ids(ids: Any) -> Any:
    """
    Ids as an array of pairs, from ids in any form: whole numbers, texts, Arrow columns.
    """

def assign(X: Any, centroids: Any, *, metric: str = "spherical", ids: Any | None = None, rows: Any | None = None, norm: str | None = None, progress: bool | Progress | None = None) -> Clusters:
    """
    Puts vectors into clusters whose centroids are there already, for example those of faiss.

    Parameters
    ----------
    X : vectors of shape (n, d)
        As in `kmeans`.
    centroids : vectors of shape (k, d)
        Of length 1 when spherical.
    metric : "spherical" (default) or "euclidean"
    ids, rows, norm, progress
        As in `kmeans`.

    Returns
    -------
    Clusters
    """

def compare(first: str | PathLike[str], second: str | PathLike[str]) -> Any:
    """
    How two runs, or two subset files, overlap: a dictionary, as `curate compare --json` tells it.
    """

def explain(run: str | PathLike[str], id: str) -> Explanation:
    """
    What each stage of a finished run said of a sample, by its id or its key.
    """

def fit_law(runs: Any, law: str | None = None, *, own: SupportsGetItem[int, str] | None = None, fix: dict[str, SupportsFloat | SupportsIndex] | None = None, priors: dict[str, tuple[SupportsFloat | SupportsIndex, SupportsFloat | SupportsIndex]] | None = None, draws: SupportsIndex = 1000, starts: SupportsIndex | None = None, seed: SupportsIndex = 0, columns: dict[str, str] | None = None, progress: bool | Progress | None = None) -> LawFit:
    """
    Fits a scaling law to a table of small training runs, as `curate plan fit` does.

    Parameters
    ----------
    runs : path of a CSV, JSON lines or Parquet file; a data frame; a list of dicts; a dict of lists
        Columns `pool`, `samples`, `unique`, `parameters`, ..., and one of `error`, `loss`, `accuracy`.
    law : str, optional
        The law's name (`curate.laws()` lists them). Unless given, all laws that can tell the pools apart
        answer together, weighed by how they predict the largest budget from the smaller ones.
    own : list of str, optional
        Parameters of which every pool has its own; what is usual for the law unless given.
    fix : dict of str to float, optional
        Parameters with known values.
    priors : dict of str to (center, spread), optional
    draws : int
        Draws of the bootstrap; 0 for none.
    starts : int, optional
        Starting points of the search.
    seed : int
    columns : dict of str to str, optional
        Our name of a column to the table's.
    progress : bool or callable, optional

    Returns
    -------
    LawFit
    """

def id_texts(ids: Any) -> list[str]:
    """
    Ids as texts of 32 hexadecimal digits.
    """

def inspect(path: str | PathLike[str], *, format: str | None = None, bad_shards: str = "error", ids: str | None = None, progress: bool | Progress | None = None) -> Any:
    """
    What a pool contains, as `curate inspect --json` tells it.
    """

def intersect(first: Any, *others: Any) -> Any:
    """
    Ids that all subsets have. An id gets as many copies as the subset that has fewest of it.
    """

def key_ids(keys: SupportsGetItem[int, str]) -> Any:
    """
    The ids of samples that have keys and no uid, as pools give them: 32 hexadecimal digits are the id, of
    any other key it is the first 128 bits of its SHA-256.
    """

def kmeans(X: Any, k: SupportsIndex, *, ids: Any | None = None, metric: str = "spherical", iterations: SupportsIndex | None = None, tolerance: SupportsFloat | SupportsIndex | None = None, init: str | None = None, seed: SupportsIndex = 0, train_rows_per_cluster: SupportsIndex | None = None, batch_rows: SupportsIndex | None = None, empty_clusters: str | None = None, rows: Any | None = None, norm: str | None = None, progress: bool | Progress | None = None) -> Clusters:
    """
    Clusters vectors with k-means: the same clusters for any number of threads and on every machine.

    Parameters
    ----------
    X : vectors of shape (n, d)
        NumPy (float32, float16, float64, in any memory order), an Arrow column of lists, anything with
        `__dlpack__` on the CPU, an embedding of a `Pool`, or the path of an npy file. float32 is read
        where it lies; others are converted block by block.
    k : int
        Number of clusters.
    ids : ids of the rows, optional
        Whole numbers, or texts of up to 32 hexadecimal digits; they settle ties and random draws. Row
        numbers unless given.
    metric : "spherical" (default) or "euclidean"
        Spherical k-means scales vectors to length 1.
    iterations : int
        At most so many; 50 unless given.
    tolerance : float
        Stop when the objective improves by less than this share of itself; 1e-5 unless given, and 0
        stops only when no row moves.
    init : "random" (default), "plus-plus" or "levels"
    seed : int
    train_rows_per_cluster : int, optional
        Train on so many random rows a cluster (faiss: 256); on all rows unless given.
    batch_rows : int, optional
        Mini-batch k-means with batches of so many rows.
    empty_clusters : "worst-row" (default) or "split"
    rows : row numbers or a mask, optional
        The rows to cluster; all unless given.
    norm : "require-unit" or "any"
        Whether vectors of another length than 1 are set aside; "any" for Euclidean, else
        "require-unit".
    progress : bool or callable, optional
        True shows bars (of tqdm where installed); a callable hears (task, done, total, unit).

    Returns
    -------
    Clusters

    Examples
    --------
    >>> import numpy, curate
    >>> X = numpy.array([[1, 0], [0.8, 0.6], [0, 1], [-0.6, 0.8]], numpy.float32)
    >>> curate.kmeans(X, 2, seed=1).sizes.tolist()
    [2, 2]
    """

def laws() -> list[str]:
    """
    The names of the laws.
    """

def minus(first: Any, *others: Any, copies: bool = False) -> Any:
    """
    Ids of the first subset that no other has. One occurrence in another removes every copy; with
    `copies`, it removes one.
    """

def plan(recipe: Any, out: str | PathLike[str], tasks: SupportsIndex | None = None, *, progress: bool | Progress | None = None) -> Plan:
    """
    Cuts a run into tasks and writes the plan to a folder, as `curate tasks plan` does: fixes ranges of
    rows and the steps of every stage. The same plan in the same folder is left as it is, with what its
    tasks have left.

    Parameters
    ----------
    recipe : Recipe, path of a TOML file, or dict
    out : folder to write the plan to
        Every process that works on it has to see it, and the pool.
    tasks : int, optional
        Into how many ranges the rows are cut; by default into ranges of a million. The result does not
        depend on it.
    progress : bool or callable, optional

    Returns
    -------
    Plan

    Examples
    --------
    >>> import curate, numpy
    >>> X = numpy.random.default_rng(0).normal(size=(500, 16)).astype("float32")
    >>> numpy.save("rows.npy", X / numpy.linalg.norm(X, axis=1, keepdims=True))
    >>> stage = {"kind": "semantic-dedup", "embedding": "embedding", "clusters": 5}
    >>> plan = curate.tasks.plan({"pool": {"path": "rows.npy"}, "stage": [stage]}, "plan", tasks=3)
    >>> worker = curate.tasks.Worker("plan")
    >>> for step in plan.steps:
    ...     done = [worker.run(step.name, index) for index in range(step.tasks)]
    >>> plan.status().is_done
    True
    >>> len(curate.Run(plan.run_folder)) > 0
    True
    """

def read_subset(path: str | PathLike[str]) -> Any:
    """
    Reads a subset file (`.npy`, `.memmap`, `.parquet`, `.jsonl`, `.txt`): an array of pairs, sorted,
    repeats included.
    """

def reshard(pool: str | PathLike[str], subset: Any, out: str | PathLike[str], *, samples_per_shard: SupportsIndex = 10000, shuffle_buffer: SupportsIndex | None = None, seed: SupportsIndex = 0, bad_shards: str = "error", ids: str | None = None, verify: bool = False, overwrite: bool = False, part: tuple[SupportsIndex, SupportsIndex] | None = None, progress: bool | Progress | None = None) -> Any:
    """
    Copies the samples of a selection from WebDataset shards into new ones, as DataComp's resharder does.
    A call that stopped goes on when it is repeated.

    Parameters
    ----------
    pool : path, pattern or URL of tar files
    subset : path of a subset file, or ids in any form
    out : folder to write to
    samples_per_shard : int
    shuffle_buffer : int, optional
        Mixes the samples with a buffer of so many.
    seed : int
        Of the shuffle.
    bad_shards : "error" (default) or "skip"
    ids : "key" or "shard-and-key", optional
    verify : bool
        Reads shards that an earlier call wrote whole before they count.
    overwrite : bool
    part : (index, tasks), optional
        Does the part of one of several tasks that share the folders, numbered from 0. One that needs what others
        have not read yet raises `FileError`: call it again. A call without it completes the folder.
    progress : bool or callable, optional

    Returns
    -------
    dict
        Counts, as `curate reshard --json` tells them.
    """

def run(recipe: Any, out: str | PathLike[str], *, pool: str | PathLike[str] | None = None, overwrite: bool = False, progress: bool | Progress | None = None) -> Run:
    """
    Carries out a recipe and writes everything to a folder, as `curate run` does. A run that stopped goes on
    at the stage that it had not finished.

    Parameters
    ----------
    recipe : Recipe, path of a TOML file, or dict
    out : folder to write to
    pool : path, optional
        Another pool than the recipe's.
    overwrite : bool
        Replaces results of other settings in the folder.
    progress : bool or callable, optional

    Returns
    -------
    Run
    """

def select(scores: Any, *, threshold: SupportsFloat | SupportsIndex | None = None, fraction: SupportsFloat | SupportsIndex | None = None, count: SupportsIndex | None = None, better: str = "higher-is-better", ids: Any | None = None, rows: Any | None = None) -> Scored:
    """
    Keeps rows by a score of each.

    Parameters
    ----------
    scores : numbers of shape (n,)
        Compared in their own precision. A NaN is a row without a score, which never stays.
    threshold : float, optional
        Keeps rows of at least this score. Give one of `threshold`, `fraction` and `count`.
    fraction : float, optional
        Keeps the best `floor(fraction * n)` rows; ties go to the smaller id.
    count : int, optional
        Keeps so many of the best rows.
    better : "higher-is-better" (default) or "lower-is-better"
    ids : ids of the rows, optional
    rows : row numbers or a mask, optional
        The rows to choose among.

    Returns
    -------
    Scored

    Examples
    --------
    >>> import curate
    >>> curate.select([0.31, float("nan"), 0.12, 0.4], count=2).selected.tolist()
    [0, 3]
    """

def set_threads(threads: SupportsIndex | None) -> None:
    """
    Sets how many threads work is done on, from 1 to 512; `None` for the default.

    Calls that run already keep theirs.
    """

def subset_info(subset: Any) -> Any:
    """
    Counts of a subset: `ids`, `distinct`, `repeated`, `most_copies` and the `range` of ids.
    """

def threads() -> int:
    """
    How many threads work is done on.

    Results do not depend on it. Unless `set_threads` says otherwise it is the environment's
    `RAYON_NUM_THREADS`, or the number of processors.
    """

def union(first: Any, *others: Any, copies: bool = False) -> Any:
    """
    Ids of any of the subsets (paths, or ids in any form). An id gets as many copies as the subset that has
    most of it; with `copies`, the copies of all together.
    """

def write_subset(path: str | PathLike[str], ids: Any) -> None:
    """
    Writes ids as a subset file, in the form of the path's ending; as the program does.
    """
