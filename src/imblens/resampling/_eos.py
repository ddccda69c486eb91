"""Expansive Over-Sampling: synthetic minority instances between minority instances and their nearest enemies."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from imblens.resampling._draw import Direction, Indexing, draw_eos, interpolate, isolated_note
from imblens.resampling._numeric import as_seed, plain, positions, refuse_too_many
from imblens.resampling._sampler import Sampler, check_whole, check_word
from imblens.run import neighbour_graph


class EOS(Sampler):
    """Expansive Over-Sampling: balance classes with points between minority instances and their nearest enemies.

    sample = base + r (enemy - base),  r uniform in [0, 1)

    base: drawn uniformly from the class's instances that have an enemy (an instance of another class) among their K
    nearest neighbours; enemy: drawn uniformly from those. This widens the range of features that a rare class covers,
    which interpolation inside the class (SMOTE) cannot. A sample with r near 1 lies on its enemy, yet carries the rare
    label: where classes overlap strongly, precision of the large classes pays for recall of the rare ones.

    For a class without an enemy among its neighbours, each instance is paired with its nearest enemy, however far, and
    an `ImblensWarning` reports it. Classes that are balanced already stay unchanged.

    Args:
        k_neighbors: K, 1 or more; the paper uses 10 and reports gains up to 300.
        sampling_strategy: as in imbalanced-learn; "auto" brings every class to the size of the largest.
        random_state: int, RandomState, Generator or None. Every class has a stream of its own.
        direction: "toward" the enemy, as the paper's text and code; "away" for the formula printed in Algorithm 2.
        indexing: "exact", or "released" to repeat the authors' script: the list it takes the drawn place from still
            begins with the instance itself, so it moves toward the neighbour one place nearer than the enemy: often an
            instance of its own class; it is a copy where the enemy was the nearest neighbour.

    Attributes:
        sample_indices_: (N + n,) row that each instance came from: itself, or its base.
        enemy_indices_: (n,) row that each synthetic instance was drawn toward.
        r_: (n,) how far.
        n_bases_: instances that could serve as base, by over-sampled class.
        k_neighbors_: K used; lower than requested, with a warning, where there are fewer other instances.
        sampling_strategy_, n_features_in_, feature_names_in_: as in imbalanced-learn.

    Raises:
        InputError, ShapeError: the message names the argument, what was found and what to do.

    References:
        Dablain et al. 2022, Efficient Augmentation for Imbalanced Deep Learning, section III-D and Algorithm 2. We move
        toward the enemy, take neighbours at their true place, and do not stop at a class without enemies.

    Example:
        >>> import numpy as np
        >>> X = np.array([[0.0], [1.0], [2.0], [10.0]])
        >>> sampler = EOS(k_neighbors=1, random_state=0)
        >>> X_new, y_new = sampler.fit_resample(X, np.array(["a", "a", "a", "b"]))
        >>> y_new.tolist(), sampler.sample_indices_.tolist(), sampler.enemy_indices_.tolist()
        (['a', 'a', 'a', 'b', 'b', 'b'], [0, 1, 2, 3, 3, 3], [2, 2])
    """

    def __init__(
        self,
        k_neighbors: int = 10,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        direction: Direction = "toward",
        indexing: Indexing = "exact",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.k_neighbors = k_neighbors
        self.random_state = random_state
        self.direction = direction
        self.indexing = indexing

    def _check_options(self) -> None:
        super()._check_options()
        check_whole("EOS", "k_neighbors", self.k_neighbors, 1)
        check_word("EOS", "direction", self.direction, get_args(Direction))
        check_word("EOS", "indexing", self.indexing, get_args(Indexing))

    def _resample(self, X: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        classes, labels, wanted = positions(y, self.sampling_strategy_)
        refuse_too_many("EOS", sum(wanted.values()), X)
        self.k_neighbors_ = min(self.k_neighbors, len(X) - 1)
        if self.k_neighbors_ < self.k_neighbors:
            self._notes.append(
                f"EOS: k_neighbors={self.k_neighbors} needs {self.k_neighbors + 1} instances, there are {len(X)}; "
                f"all {self.k_neighbors_} others were taken."
            )
        neighbours = np.empty((len(X), 0), dtype=np.int64)
        if any(wanted.values()):
            neighbours = neighbour_graph(X, self.k_neighbors_).indices
        draw = draw_eos(X, labels, neighbours, wanted, as_seed(self.random_state), self.indexing)
        self._notes += isolated_note(draw, classes.tolist(), labels, self.k_neighbors_)
        self.n_bases_ = {plain(classes[label]): n for label, n in draw.bases.items()}
        self.sample_indices_ = np.concatenate([np.arange(len(X)), draw.base])
        self.enemy_indices_ = draw.enemy
        self.r_ = draw.r
        return interpolate(X, draw, self.direction), classes[draw.label]
