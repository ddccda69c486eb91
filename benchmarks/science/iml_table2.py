"""python -m benchmarks.science.iml_table2 RUN ...: Table II of IML on networks that are trained already.

Each RUN is a folder, or an ARRAYS.npz with features, head and test split. Columns are those of `imblens study iml-table2`:
mean over classes of the Kullback-Leibler divergence of test errors from a forecast, in nats. `kl_alg1` is Alg. 1 as published,
`kl_forecast` the same with our rule of ten, `kl_random` the mean over 100 rows of random shares, `random_over_alg1` the paper's
factor. Nothing is trained.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from imblens.base.markdown import markdown_table
from imblens.run import Run
from imblens.studies._measures import forecast
from imblens.studies._tables import read_paper

COLUMNS = ("kl_alg1", "kl_fisher", "kl_random", "random_over_alg1", "kl_forecast", "kl_soft", "kl_floor")


def main(paths: list[str]) -> int:
    """Print a row a network, their means, and the paper's row of CIFAR-10."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    found = {Path(path).stem: forecast(Run.load(Path(path))) for path in paths}
    table = pd.DataFrame.from_dict(found, orient="index").astype(float)[list(COLUMNS)]
    table.loc["mean"] = table.mean()
    table.loc["paper, CIFAR-10"] = read_paper("iml_table2", ["data"]).set_index("data").loc["CIFAR-10"]
    rows = [[str(name), *("" if value != value else f"{value:.3f}" for value in row)] for name, row in table.iterrows()]
    print(markdown_table(["network", *COLUMNS], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
