"""I have features, labels and logits, and no network: why do my rare classes fail?

python examples/only_arrays.py REPORT_FOLDER
"""

import sys

import numpy as np

import imblens

rng = np.random.default_rng(0)
counts = {"train": [900, 300, 90, 30], "test": [100, 100, 100, 100]}
centres = rng.normal(size=(4, 16))
weight = centres * 1.2
bias = -0.6 * (centres**2).sum(axis=1) + np.log(counts["train"])


def split(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, labels and logits; yours come from your own pipeline."""
    labels = np.repeat(np.arange(4), counts[name])
    features = centres[labels] + 1.3 * rng.normal(size=(len(labels), 16))
    return features, labels, features @ weight.T + bias


run = imblens.Run.from_arrays(
    train=split("train"), test=split("test"), head=(weight, bias), classes=["cat", "dog", "eel", "fox"]
)
audit = imblens.audit(run)
print("\n".join(audit.verdict()))
print(audit["archetypes"].tables["archetypes"].head(8).to_string(index=False))
print("report:", audit.save(sys.argv[1], force=True))
