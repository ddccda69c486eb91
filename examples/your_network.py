"""I have a trained network: read it, give it a better head, and put that head back.

python examples/your_network.py REPORT_FOLDER
"""

import sys

import numpy as np
import torch

import imblens

torch.manual_seed(0)
rng = np.random.default_rng(0)


def images(counts: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Grey squares whose brightness indicates the class; yours come from your own data set."""
    labels = np.repeat(np.arange(3), counts)
    brightness = np.array([90, 120, 150])[labels] + rng.normal(0, 14, len(labels))
    noise = rng.normal(0, 8, (len(labels), 12, 12, 3))
    return np.clip(brightness[:, None, None, None] + noise, 0, 255).astype(np.uint8), labels


train, test = images([600, 120, 20]), images([80, 80, 80])
model = torch.nn.Sequential(
    torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3)
)
optimizer = torch.optim.Adam(model.parameters(), 0.02)
inputs = torch.from_numpy(train[0]).permute(0, 3, 1, 2).float() / 255
for _ in range(60):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(inputs), torch.from_numpy(train[1])).backward()
    optimizer.step()

run = imblens.capture(model, train=train, test=test, classes=["dark", "grey", "light"])
better = imblens.treat(run, "best")
comparison = imblens.compare([run, better], names=["as trained", "best"])
print(comparison.tables["comparison_summary"].to_string(index=False))
better.install(model)
print("report:", comparison.save(sys.argv[1], force=True))
