"""A t-SNE map of training and test features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imblens.base.arguments import a_seed, checked, number, whole
from imblens.base.wording import FEW
from imblens.lenses._contract import Finding, lens
from imblens.lenses.embedding_map.placing import embed
from imblens.lenses.embedding_map.points import Places, chosen_points, map_table, rare_or_outlying
from imblens.run import Run


@lens("Where are the instances, and where are the errors?", order=160)
@checked(n_points=whole(FEW), perplexity=number(1), random_state=a_seed())
def embedding_map(run: Run, *, n_points: int = 20_000, perplexity: float = 30.0, random_state: int = 0) -> Finding:
    """A t-SNE map of training and test features together.

    Neighbours on the map are neighbours in feature space as far as two dimensions allow. Distances between far groups,
    sizes of groups and empty space have no meaning; nothing else in an audit is computed from the map.

    Where there are more than `n_points` instances, all rare and outlying training instances stay, unless they alone would
    fill half the map. Every other group of one split, class and archetype is cut to the same largest size, so that small
    classes stay whole.

    Args:
        run: any run of ten instances or more.
        n_points: maximum number of points on the map, 10 or more.
        perplexity: about how many neighbours a point is kept close to; at most a third of the points.
        random_state: seed of the choice of points and of t-SNE; the same seed gives the same map.

    Returns:
        Table `embedding_map`: id, split, class, archetype, correct, x, y. archetype is None for test instances; correct
        is None where predictions are unknown. In a multi-label run, class is the rarest of an instance's
        classes ("none" without one), archetype None, and correct means correct for every class. Summary: points,
        instances, perplexity, random_state.

    Raises:
        NotApplicable: fewer than ten instances.
        InputError: an option out of range.

    References:
        van der Maaten and Hinton 2008, Visualizing data using t-SNE; Linderman et al. 2019, Fast interpolation-based
        t-SNE; Policar, Strazar and Zupan 2024, openTSNE. We start from principal components, as Kobak and Berens 2019,
        The art of using t-SNE, advise, and give openTSNE our own exact neighbour graph.
    """
    points = chosen_points(run, n_points, random_state)
    features = points.features(run)
    graph_of = run if run.test is None and len(features) == len(run.train) else None
    placed = embed(features, perplexity=perplexity, random_state=random_state, run=graph_of)
    n_instances = len(run.train) + (0 if run.test is None else len(run.test))
    summary = {
        "points": len(placed),
        "instances": n_instances,
        "perplexity": perplexity,
        "random_state": random_state,
    }
    notes = []
    if run.train.multilabel:
        notes.append("An instance has an archetype for each of its labels, so the map has none: see archetypes.")
    if len(placed) < n_instances:
        notes.append(_thinning_note(len(placed), n_instances, rare=rare_or_outlying(run), shown=points.train))
    return Finding({"embedding_map": map_table(run, points, placed)}, summary, notes=tuple(notes))


def _thinning_note(n_shown: int, n_instances: int, *, rare: NDArray[np.bool_], shown: Places) -> str:
    text = f"{n_shown:,} of {n_instances:,} instances are shown: large groups were thinned"
    left_out = int(rare.sum() - rare[shown].sum())
    if left_out:
        return f"{text}, and as there are {rare.sum():,} rare and outlying ones, {left_out:,} of them too."
    return f"{text}, every rare and outlying one is kept." if rare.any() else f"{text}, small classes are whole."
