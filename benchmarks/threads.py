"""Training beside another process: python -m benchmarks.threads [--steps 20].

Threads of OpenMP, which torch and scikit-learn use, wait for each other in a loop by default, and then take the cores from
other processes. With OMP_WAIT_POLICY=PASSIVE, which `imblens` sets where nothing else is set, they sleep. Prints milliseconds
and processor milliseconds of a training step of a small convolutional network, alone and beside a second training.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

POLICIES = ("default", "PASSIVE")


def train(steps: int) -> None:
    """Print the seconds and processor seconds of training steps."""
    import torch
    from torch import nn

    layers = [m for _ in range(8) for m in (nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())]
    network = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)
    )
    images, labels = torch.randn(64, 3, 32, 32), torch.randint(0, 10, (64,))
    optimiser = torch.optim.SGD(network.parameters(), 0.1)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimiser.step()

    step()
    start, used = time.perf_counter(), time.process_time()
    for _ in range(steps):
        step()
    print(time.perf_counter() - start, time.process_time() - used)


def measured(policy: str, processes: int, steps: int) -> tuple[float, float]:
    """Mean milliseconds and processor milliseconds of a step, of processes at the same time."""
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS")}
    if policy != "default":
        environment["OMP_WAIT_POLICY"] = policy
    words = [sys.executable, "-m", "benchmarks.threads", "--train", "--steps", str(steps)]
    running = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    found = [[float(word) for word in process.communicate()[0].split()] for process in running]
    return tuple(1000 * sum(values) / len(found) / steps for values in zip(*found, strict=True))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.train:
        train(given.steps)
        return
    print("| OMP_WAIT_POLICY | trainings at once | step | processors |\n|---|---|---|---|")
    for processes in (1, 2):
        for policy in POLICIES:
            taken, used = measured(policy, processes, given.steps)
            print(f"| {policy} | {processes} | {taken:.0f} ms | {used:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
