"""python -m benchmarks.science.conclusions heads|quality ARRAYS.npz ... | training DATA OUT [EPOCHS]: suggestions, measured.

IML (use cases of sections IV-C to IV-G) and EOS (sections VI and VII) suggest ways that they do not measure. Each is a
treatment, a loss, a training option or a lens here.

heads     treatments on stored features: resampling by archetype, EOS that changes chosen features only; beside the
          samplers that they extend. Three seeds of every network.
quality   measures of the embedding beside the generalization gap: which goes with recall over classes, and with the gain
          that over-sampling brings?
training  a loss that penalises shared features, EOS while the representation is trained, augmentation of class colours;
          smallnet, three seeds, beside plain cross-entropy. DATA is what `imblens train` takes; OUT keeps the networks of
          one DATA and EPOCHS.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from imblens.data import ImageSet, load_images
from imblens.errors import ImblensError, ImblensWarning, InputError
from imblens.lenses import class_accuracy, generalization_gap
from imblens.run import Run
from imblens.training import TrainingPlan
from imblens.treatments import treat
from imblens.workflows import class_colours, train_and_capture

SEEDS = (0, 1, 2)
HEADS: dict[str, tuple[str, dict[str, object]]] = {
    "random": ("random", {}),
    "smote": ("smote", {}),
    "eos, K = 10": ("eos", {"k_neighbors": 10}),
    "archetype_resampling": ("archetype_resampling", {}),
    "archetype_resampling, safe_kept = 1": ("archetype_resampling", {"safe_kept": 1.0}),
    "eos_features, uncovered": ("eos_features", {"change": "uncovered"}),
    "eos_features, shared": ("eos_features", {"change": "shared"}),
}


def accuracies(run: Run) -> tuple[float, float]:
    """Balanced accuracy on the test split, and the mean recall of the rarest third of the classes."""
    found = class_accuracy(run)
    table = found.tables["class_accuracy"].sort_values("train_count", kind="stable")
    return float(found.summary["balanced_accuracy"]), float(table["accuracy"].head(max(1, len(table) // 3)).mean())


def spread(values: Sequence[float]) -> str:
    """Mean ± standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def points(values: Sequence[float]) -> str:
    """Mean ± standard deviation of differences, in points, and how many are above 0."""
    mean, sd = 100 * np.mean(values), 100 * np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{mean:+.1f} ± {sd:.1f} ({sum(v > 0 for v in values)} of {len(values)})"


def heads(paths: Sequence[str]) -> None:
    """Print what each sampler does to the head of every network."""
    rows: dict[str, list[tuple[float, float]]] = {name: [] for name in ("head as it is", *HEADS)}
    for path in paths:
        run = Run.load(Path(path))
        for seed in SEEDS:
            rows["head as it is"].append(accuracies(run))
            for name, (treatment, options) in HEADS.items():
                rows[name].append(accuracies(treat(run, treatment, random_state=seed, **options)))
    print(
        f"{len(paths)} networks, {len(SEEDS)} seeds each; differences network by network, in points of balanced accuracy\n"
    )
    print("| treatment | balanced accuracy | rare third | minus smote | minus eos, K = 10 |\n|---|---|---|---|---|")
    for name, values in rows.items():
        against = (
            [value[0] - other[0] for value, other in zip(values, rows[base], strict=True)]
            for base in ("smote", "eos, K = 10")
        )
        both, rare = ([value[i] for value in values] for i in (0, 1))
        print(f"| {name} | {spread(both)} | {spread(rare)} | {' | '.join(points(each) for each in against)} |")


def quality(paths: Sequence[str]) -> None:
    """Print how measures of the embedding go with recall, and with what EOS gains, class by class."""
    columns = ("gap", "separation", "own_train", "own_test", "shift", "within")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in columns}
    for path in paths:
        run = Run.load(Path(path))
        better = treat(run, "eos", k_neighbors=10, random_state=0)
        recall, after = (
            class_accuracy(one).tables["class_accuracy"].set_index("class")["accuracy"] for one in (run, better)
        )
        tables = generalization_gap(run).tables
        table = tables["generalization_gap"].set_index("class").join(tables["embedding_quality"].set_index("class"))
        for name in columns:
            ranks = table[name].rank()
            found[name].append((ranks.corr(recall.rank()), ranks.corr((after - recall).rank())))
    print(f"Spearman's correlation over classes, mean and spread over {len(paths)} networks\n")
    print("| measure | with recall | with the gain in recall by eos, K = 10 |\n|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {spread([v[0] for v in values])} | {spread([v[1] for v in values])} |")


PLANS: dict[str, dict[str, object]] = {
    "ce": {},
    "overlap_ce, strength 1": {"loss": "overlap_ce"},
    "overlap_ce, strength 0.1": {"loss": "overlap_ce", "loss_options": {"strength": 0.1}},
    "eos, from the first epoch": {"eos": True},
    "eos, from half of the epochs": {"eos": {"start": 0.5}},
    "class colours": {"class_colours": True},
}


def stored(folder: Path, images: ImageSet, epochs: int) -> Run | None:
    """Return the network of an earlier start, None without one.

    Raises:
        InputError: it was trained on other images, or for another number of epochs.
    """
    if not (folder / "run.json").exists():
        return None
    run = Run.load(folder)
    there, asked = (
        {key: data.get(key) for key in ("path", "profile", "counts")} for data in (run.meta["data"], images.source)
    )
    if there != asked or run.meta["epochs"] != epochs:
        held, wanted = f"{there['path']} after {run.meta['epochs']} epochs", f"{asked['path']} after {epochs}"
        raise InputError(f"{folder} holds a network of {held}, not of {wanted}.", hint="Give another folder as OUT.")
    return run


def training(words: Sequence[str]) -> None:
    """Train a small network in each way with each seed, print accuracies, and those after EOS on the head."""
    data, out = words[0], Path(words[1])
    epochs = int(words[2]) if len(words) > 2 else 8
    images = load_images(data)
    small = {"batch_size": 16, "augment": "crop"} if data == "digits" else {}  # 305 images, and no mirrored digits
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in PLANS}
    for seed in SEEDS:
        colours: object = None
        for name, options in PLANS.items():
            folder = out / f"{name}-{seed}".replace(" ", "-").replace(",", "")
            run = stored(folder, images, epochs)
            if run is None:
                given = {**small, **options, **({"class_colours": colours} if "class_colours" in options else {})}
                plan = TrainingPlan(arch="smallnet", epochs=epochs, seed=seed, **given)  # type: ignore[arg-type]
                run, _ = train_and_capture(
                    images, folder, plan, overwrite=True, colours=name == "ce", shortcuts=False, thumbnails=False
                )
                run.save(folder, force=True)
                run = Run.load(folder)
            if name == "ce":
                colours = class_colours(run)
            after = accuracies(treat(run, "eos", k_neighbors=10, random_state=seed))[0]
            rows[name].append((*accuracies(run), after))
            print(f"{name}, seed {seed}: {rows[name][-1]}", file=sys.stderr, flush=True)
    print(f"smallnet, {epochs} epochs, {len(SEEDS)} seeds; differences seed by seed, in points of balanced accuracy\n")
    print(
        "| training | balanced accuracy | rare third | minus ce | after eos on the head | minus ce |\n|---|---|---|---|---|---|"
    )
    for name, values in rows.items():
        both, rare, after = ([value[i] for value in values] for i in range(3))
        apart = ([value[i] - base[i] for value, base in zip(values, rows["ce"], strict=True)] for i in (0, 2))
        first, second = (points(each) for each in apart)
        print(f"| {name} | {spread(both)} | {spread(rare)} | {first} | {spread(after)} | {second} |")


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"heads": heads, "quality": quality, "training": training}


def main(words: list[str]) -> int:
    """Print the tables of one part."""
    if len(words) < 2 or words[0] not in COMMANDS:
        print(__doc__, file=sys.stderr)
        return 2
    warnings.simplefilter("ignore", ImblensWarning)
    try:
        COMMANDS[words[0]](words[1:])
    except ImblensError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
