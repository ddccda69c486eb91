"""Wrong labels in runs with groups: how often they are found, and named where there are none, by group and by instance.

    python -m benchmarks.science.noise_by_group [--draws 40]

Each drawn run has three normal classes (standard deviation 1, means 4.2 apart, 6 features), each with 20 patients in the
training and 10 in the test split, with 12 instances each. The means of a patient's features differ from those of the class
by normal numbers of standard deviation 0 (instances are independent), 1 or 2. 24 further instances of the second class, or
none, have the label of the first, spread over its patients. The table counts, for the first class, runs with evidence above
the lowest that is named (`LEAST_Z`), and intervals of the share of wrong labels that contain it; "by instance" leaves the
column of groups out. Column by column: patients' standard deviation, wrong labels, mean z, runs named, intervals that cover,
their mean width.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np

from imblens.lenses.diagnosis.measures import LEAST_Z
from imblens.lenses.diagnosis.noise import Noise, label_noise
from imblens.run import Run

TRAINED, TESTED, EACH, WRONG = 20, 10, 12, 24  # patients of a class, instances of each; wrong labels
APART, DIMENSIONS = 3.0, 6  # distance of a class from the origin, each along its own axis


class Found(NamedTuple):
    """Mean z, runs whose z is above the lowest that is named, intervals that cover, and their mean width."""

    z: float
    named: int
    covered: int
    width: float


def simulated(seed: int, differ: float, wrong: int, *, known: bool = True) -> Run:
    """A run of three classes whose patients differ by so much, with so many wrong labels; groups known or not."""
    rng = np.random.default_rng(seed)

    def split(patients: int, extra: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        patient = np.r_[np.repeat(np.arange(3 * patients), EACH), rng.integers(patients, 2 * patients, extra)]
        label = patient // patients
        own = differ * rng.normal(size=(3 * patients, DIMENSIONS))[patient]
        features = APART * np.eye(3, DIMENSIONS)[label] + own + rng.normal(size=(len(label), DIMENSIONS))
        wrongly = np.arange(len(label)) >= len(label) - extra
        label[wrongly], patient[wrongly] = 0, rng.integers(0, patients, extra)
        return (features, label), patient

    (train, trained), (test, tested) = split(TRAINED, wrong), split(TESTED, 0)
    return Run.from_arrays(train=train, test=test, groups={"train": trained, "test": tested} if known else None)


def found(draws: int, differ: float, wrong: int, *, known: bool) -> Found:
    """Judge the first class of so many runs."""
    judged: list[Noise] = [label_noise(simulated(seed, differ, wrong, known=known))[0] for seed in range(draws)]
    true = wrong / (TRAINED * EACH + wrong)
    return Found(
        float(np.mean([one.z for one in judged])),
        sum(one.z > LEAST_Z for one in judged),
        sum(one.low <= true <= one.high for one in judged),
        float(np.mean([one.high - one.low for one in judged])),
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=40)
    draws = parser.parse_args().draws
    print(f"| patients differ | wrong labels | by | mean z | above {LEAST_Z} | intervals that cover | mean width |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for differ, wrong, known in product((0.0, 1.0, 2.0), (0, WRONG), (False, True)):
        z, named, covered, width = found(draws, differ, wrong, known=known)
        by = "group" if known else "instance"
        print(
            f"| {differ:g} | {wrong} | {by} | {z:.2f} | {named} of {draws} | {covered} of {draws} | {width:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
