"""A run: features, labels and logits of one network on one data set, which every lens and treatment reads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeVar

from imblens.base.arguments import checked
from imblens.base.memo import Memo
from imblens.base.remote import fetched, written
from imblens.errors import InputError, MissingError, NotApplicable, nearby
from imblens.run._arrays import Arrays, Checked, Classes, splits_of
from imblens.run._foreign import described
from imblens.run._head import Head
from imblens.run._install import install_head
from imblens.run._neighbours import Approximate, NeighbourGraph
from imblens.run._npz import read_npz
from imblens.run._read import read_run
from imblens.run._rules import FROM_ARRAYS, FROM_SKLEARN, FROM_TABLE, NEIGHBOURS, SAVE
from imblens.run._sklearn import read_estimator
from imblens.run._split import Split
from imblens.run._stored_graph import keep_graph_of, neighbours_of
from imblens.run._table import Columns, read_table
from imblens.run._table_source import is_table, open_table
from imblens.run._validation import stated_balance
from imblens.run._write import write_run

Task = Literal["multiclass", "multilabel"]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """Splits, head and classes of one network on one data set. It is never changed in place.

    Attributes:
        train: the training split.
        test: the held-out split, or None.
        head: the last linear layer, or None.
        classes: C names.
        task: "multiclass" or "multilabel".
        meta: data, model, loss, seed, versions: plain JSON values.
        synthetic: training instances that a treatment added in feature space, or None.
        val: the validation split, on which thresholds and options of treatments are chosen; or None.
        path: the folder it was read from, or None.
    """

    train: Split
    test: Split | None
    head: Head | None
    classes: tuple[str, ...]
    task: Task = "multiclass"
    meta: Mapping[str, Any] = field(default_factory=dict)
    synthetic: Split | None = None
    val: Split | None = None
    path: Path | None = None
    _memo: Memo = field(default_factory=Memo, init=False, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return one line: splits, features, classes."""
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        head = "with head" if self.head is not None else "no head"
        return f"Run({self.task}: {sizes} instances x {self.dim} features, {self.n_classes} classes, {head})"

    def remember(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """Return the result kept under `key`, or compute and keep it; a copy with another head starts without results."""
        return self._memo.get(key, compute)

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.classes)

    @property
    def dim(self) -> int:
        """D."""
        return self.train.dim

    @property
    def splits(self) -> dict[str, Split]:
        """The splits of this run, by name."""
        splits = {"train": self.train, "val": self.val, "test": self.test, "synthetic": self.synthetic}
        return {name: split for name, split in splits.items() if split is not None}

    @checked(**NEIGHBOURS)
    def neighbours(
        self, k: int, *, approximate: Approximate = None, progress: Callable[[str], object] | None = None
    ) -> NeighbourGraph:
        """The k nearest other training instances of every training instance, nearest first.

        Searched once for the largest k so far; a smaller k takes a part of that graph. That of a run read from a folder,
        with 50,000 training instances or more, is kept there as neighbours.npz, where other commands find it, and goes with
        a run that a treatment makes of it.

        Args:
            k: 1 or more; at most all other instances are returned.
            approximate: True allows an approximate search, whose recall is measured on a sample; later calls with the
                same or a smaller k use its result. None uses a graph that exists, else is approximate above 300,000 instances.
                "cuvs" is approximate too, on a GPU with NVIDIA's cuVS, where the result may differ from call to call. An
                approximate graph that exists is used for it too, whichever search made it.
            progress: called every few seconds with a line of text on the time left.

        Raises:
            DependencyError: approximate=True without pynndescent, or "cuvs" without cuVS, where a search is needed.
        """
        return neighbours_of(self.train, k, approximate, progress)

    @property
    def searched(self) -> NeighbourGraph | None:
        """The neighbour graph that was searched before, or None; starts no search."""
        return self.train.searched

    def with_head(self, head: Head, *, synthetic: Split | None = None, **meta: Any) -> Run:
        """Return this run with another head: the same features, logits computed by `head`."""
        splits = {name: split.with_head(head) for name, split in self.splits.items() if name != "synthetic"}
        changed: dict[str, Any] = {**splits, "synthetic": synthetic, "head": head, "path": None}
        return replace(self, meta={**self.meta, **meta}, **changed)

    def at_head(self) -> Run:
        """Return this run with the features that the head's weight is multiplied with.

        That is the run itself, unless the head scales features to length 1 first; then features have length 1, in
        memory, and the head is plain.
        """
        if self.head is None or not self.head.unit:
            return self
        own, plain = self.head, Head(self.head.weight, self.head.bias)
        splits = {
            name: Split(
                tuple(replace(part, features=own.entered(part.features)) for part in split.parts),
                split.classes,
                split.name,
                plain,
            )
            for name, split in self.splits.items()
        }
        return replace(self, head=plain, path=None, **splits)  # type: ignore[arg-type]

    @classmethod
    @checked(**FROM_ARRAYS)
    def from_arrays(
        cls,
        *,
        train: Arrays,
        test: Arrays | None = None,
        val: Arrays | None = None,
        head: Any | None = None,
        classes: Classes | None = None,
        meta: Mapping[str, Any] | None = None,
        task: Task | None = None,
        groups: Mapping[str, Any] | None = None,
    ) -> Run:
        """Build a run from arrays; only training features and labels are required.

        Args:
            train: (features (N, D), labels (N,) or (N, C)) or with logits (N, C) as third. Labels (N, 1) count as (N,).
            test: the same for held-out instances.
            val: the same for the validation split.
            head: (weight (C, D), bias (C,)) of the last linear layer, or the layer: an object with `weight` and `bias`.
            classes: C names, or a mapping of label values to names ({0: "cat", ...}). Without them, classes are numbered
                by the logit columns, else by the head's rows, else by the sorted values of the labels (which may then be
                text or have gaps).
            meta: origin of the arrays; reports state it. `meta["notes"]` gets a sentence for every conversion below.
                `meta["head_balanced"]`, true or false, states whether training has balanced the head over classes.
            task: "multilabel" keeps labels (N, C) with exactly one 1 in every row; by default they count as (N,).
            groups: mapping of splits to the group of each instance, (N,): patient, source image, site. Instances of one
                group are not independent: intervals are then by group. `meta["group"]` may name what the groups are.

        Tensors, sparse arrays, series and other arrays are converted. Logits that are probabilities are replaced by their
        logarithms (log-odds in multi-label data). Test and validation instances with label -1 are left out. Features
        that vary little around a large value are centred in float64 before they are stored as float32, and the head's
        bias is changed accordingly; `meta["centre"]` (D,) is what was subtracted, and `install` adds it back.

        Raises:
            InputError, ShapeError: the message names the argument, what was found and what to do.

        Example:
            >>> import numpy as np
            >>> rng = np.random.default_rng(0)
            >>> run = Run.from_arrays(train=(rng.normal(size=(6, 3)), ["a", "a", "a", "b", "b", "c"]))
            >>> run.classes, run.train.class_counts.tolist()
            (('a', 'b', 'c'), [3, 2, 1])
        """
        arrays = {"train": train, "test": test, "val": val}
        given: dict[str, Any] = {name: a for name, a in arrays.items() if a is not None or name == "train"}
        checked = splits_of(given, head=head, classes=classes, task=task, groups=groups)
        return cls._of(checked, meta or {})

    @classmethod
    @checked(**FROM_TABLE)
    def from_table(
        cls,
        source: Any,
        *,
        features: str | Sequence[str] = "embedding",
        label: str | Sequence[str] | None = None,
        split: str | None = None,
        logits: str | Sequence[str] | None = None,
        id: str | None = None,
        group: str | None = None,
        preview: str | None = None,
        head: Any | None = None,
        classes: Classes | None = None,
        task: Task | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Run:
        """Build a run from a table with a row per instance, which is read in batches.

        Args:
            source: path of a Parquet, Feather or Arrow file, of a folder of such files or of a Lance data set
                (`imblens[lance]`); an Arrow table or data set; a pandas or polars frame; or a mapping
                {"train": table, "test": table}.
            features: a column of lists of D numbers, or D columns of numbers, whose names reports then show.
            label: a column of text, integers, bool or categories; of lists of 0 and 1 (multi-hot) or of classes; or one
                column of 0 and 1 per class.
            split: a column with train (training), val (valid, validation, dev) and test (testing, eval). It may be left
                out where the names of the files mean it (`train-00000.parquet`), or in a mapping.
            logits: a column of lists of C numbers, or C columns; needs `classes` where labels are text.
            id: a column that identifies instances in reports; without it, the number of the row in the table.
            group: a column of groups (patient, source image, site); intervals are then by group.
            preview: a column of text that reports show; 300 characters of each are kept.
            head: as in `from_arrays`.
            classes: as in `from_arrays`; names in the schema (Hugging Face `ClassLabel`) are used without it.
            task: as in `from_arrays`.
            meta: further facts to store with the run.

        Rows are read twice, first labels and splits, then features. Matrices above 64 MiB lie in the folder for temporary
        files (TMPDIR) and are mapped, so a table larger than memory can be audited.

        Raises:
            MissingError: a column that does not exist or was not named; the message lists those found.
            InputError, ShapeError: nulls, NaN, lists of different lengths, text where numbers are needed, or a damaged
                file; the message names the column and the row.

        Example:
            >>> import pandas as pd
            >>> frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "z": [1.0, 0, 1, 0], "y": ["a", "b", "a", "b"]})
            >>> frame["split"] = ["train", "train", "test", "test"]
            >>> Run.from_table(frame, features=["x", "z"], label="y", split="split")
            Run(multiclass: 2 train, 2 test instances x 2 features, 2 classes, no head)
        """
        columns = Columns(features, label, split, logits, id, group, preview)
        checked, found = read_table(source, columns, head=head, classes=classes, task=task)
        return cls._of(checked, {**found, **(meta or {})})

    @classmethod
    @checked(**FROM_SKLEARN)
    def from_sklearn(
        cls,
        estimator: Any,
        *,
        train: Sequence[Any],
        test: Sequence[Any] | None = None,
        val: Sequence[Any] | None = None,
        classes: Classes | None = None,
        meta: Mapping[str, Any] | None = None,
        groups: Mapping[str, Any] | None = None,
    ) -> Run:
        """Build a run from a fitted scikit-learn classifier, alone or at the end of a pipeline.

        Features are what enters the last step. A linear classifier (LogisticRegression, LinearSVC, SGDClassifier,
        RidgeClassifier, LinearDiscriminantAnalysis, Perceptron, ...) gives the head, coef_ and intercept_, and logits, its
        decision values; two classes have logits (0, z). Any other classifier (forests, boosting, kernels, neighbours,
        calibrated) gives log-probabilities, or decision values where it has no probabilities, and no head: lenses that
        need one are skipped with the reason. The best estimator of a search is taken.

        Args:
            estimator: fitted classifier or pipeline.
            train: (X, y) in the form that the estimator was fitted on: array, frame, sparse matrix, list of texts. A sparse
                result of the transformers becomes dense if it fits into half of this machine's memory.
            test, val: the same for held-out instances; -1 in y is left out.
            classes: C names in the order of classes_, or a mapping of label values to names; by default classes_.
            meta: further facts to store with the run.
            groups: as in `from_arrays`.

        Names of features (get_feature_names_out, columns of a frame), texts and the numbers of a row are kept for reports.

        Raises:
            InputError: not fitted, a regressor, several outputs, or labels that the estimator does not know.

        Example:
            >>> from sklearn.linear_model import LogisticRegression
            >>> X, y = [[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]
            >>> Run.from_sklearn(LogisticRegression().fit(X, y), train=(X, y), test=(X, y))
            Run(multiclass: 4 train, 4 test instances x 1 features, 2 classes, with head)
        """
        given: dict[str, Any] = {"train": train, "test": test, "val": val}
        checked, found = read_estimator(
            estimator, {k: v for k, v in given.items() if v is not None or k == "train"}, classes, groups
        )
        return cls._of(checked, {**found, **(meta or {})})

    @staticmethod
    def table_columns(source: Any) -> list[str]:
        """Return the names of the columns of a table, without reading its rows; see `from_table`.

        Example:
            >>> import pandas as pd
            >>> Run.table_columns(pd.DataFrame({"embedding": [[1.0, 0.0], [0.0, 1.0]], "y": ["cat", "dog"]}))
            ['embedding', 'y']
        """
        return open_table(source).columns

    @classmethod
    def _of(cls, checked: Checked, meta: Mapping[str, Any]) -> Run:
        stated_balance(meta)
        splits = checked.splits
        more: dict[str, Any] = {}
        if checked.notes:
            more["notes"] = [*meta.get("notes", ()), *checked.notes]
        if checked.centre is not None:
            more["centre"] = checked.centre.tolist()
        return cls(
            train=splits["train"],
            test=splits.get("test"),
            val=splits.get("val"),
            head=checked.head,
            classes=splits["train"].classes,
            task="multilabel" if splits["train"].multilabel else "multiclass",
            meta={**meta, **more},
        )

    @classmethod
    def load(cls, path: str | Path, *, task: Task | None = None) -> Run:
        """Read a run folder or an ARRAYS.npz; features stay on disk until they are needed.

        Args:
            path: of the folder or archive; also in object storage (s3://, gs://), from where it is copied first.
            task: for an archive, as in `from_arrays`; a stored run has its task.

        Raises:
            MissingError: `path` does not exist, or is a folder without run.json.
            InputError: not a path, or a file is damaged; the message names the file.

        Example:
            >>> import tempfile
            >>> run = Run.from_arrays(train=([[1.0], [0.0]], ["cat", "dog"]))
            >>> Run.load(run.save(Path(tempfile.mkdtemp()) / "run")).classes
            ('cat', 'dog')
        """
        if not isinstance(path, (str, PathLike)):
            raise InputError(f"Run.load needs a path, found {described(path)}.", hint="Pass that of a run, or an .npz.")
        path = fetched(path)
        if path.is_dir() and not is_table(path):
            run = cls(**read_run(path))
            if task not in (None, run.task):
                raise InputError(
                    f"the run {path} is {run.task}, not {task}.", hint="Capture it again with the other task."
                )
            return run
        if not path.exists():
            raise MissingError(
                f"no run at {path}.", hint=f"{nearby(path)}Give the folder that imblens wrote, or an ARRAYS.npz."
            )
        if is_table(path):
            raise InputError(
                f"{path} is a table, whose columns have to be named.",
                hint="Use imblens.Run.from_table(path, features=, label=, split=), or `imblens audit` with "
                "--features, --label and --split.",
            )
        return cls.from_arrays(**read_npz(path), task=task)

    @checked(**SAVE)
    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the run as a folder and return it; neighbours that are known of 50,000 training instances or more are kept.

        An earlier run in it stays until this one is complete; without `force` it is not overwritten.
        """
        with written(path, force=force) as place:
            write_run(self, place, force=force)
            keep_graph_of(self.train, place)
        return Path(path)

    def install(self, model: Any) -> Any:
        """Put this run's head into `model`'s last linear layer, in place, and return the model.

        Raises:
            NotApplicable: the run has no head.
            MissingError: the model has no layer of the name that the run was captured from.
            ShapeError: the layer does not have the head's shape.
        """
        if self.head is None:
            raise NotApplicable("this run has no head to install.")
        return install_head(self.head, model, self.meta.get("layer"), self.meta.get("head"), self.meta.get("centre"))
