"""python -m docs.papers_table: write docs/papers.md, every table and figure of the four papers and how to get it here.

Questions, and whether a study or an option exists, come from the registry and the commands. What was run here, and how close
it came, is in docs/papers.csv.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any, NamedTuple

from imblens.studies import study_descriptions

PAGE = Path(__file__).parent / "papers.md"
LIST = Path(__file__).parent / "papers.csv"
NOT_RUN = "not run"


class Item(NamedTuple):
    """A table or figure: where, the study or command that makes it, what was run here, how close it came."""

    paper: str
    item: str
    what: str
    how: str
    here: str
    close: str


def items() -> list[Item]:
    """Return the rows of docs/papers.csv."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [Item(**row) for row in csv.DictReader(file)]


def command_of(how: str) -> str:
    """Return what is typed: a study with its folder, any other command as it is."""
    return how if how.startswith("imblens ") else f"imblens study {how} --out DIR"


def exists(how: str) -> bool:
    """Return whether the study, or the command and every option of it, is there."""
    if not how.startswith("imblens "):
        return how in study_descriptions()
    import typer

    from imblens.cli import app

    name, *words = how.split()[1:]
    commands: Any = typer.main.get_command(app)
    command = commands.commands.get(name)
    known = {word for one in command.params for word in (*one.opts, *one.secondary_opts)} if command else set()
    return command is not None and all(word in known for word in words if word.startswith("--"))


def rows() -> list[str]:
    """Return the lines of the table.

    Raises:
        ValueError: a row names a study, a command or an option that is not there.
    """
    known = study_descriptions()
    lines = ["| paper | table or figure | what | command | run here | how close |", "|---|---|---|---|---|---|"]
    for item in items():
        what = item.what or known.get(item.how, "").rpartition(" (")[0]
        if not exists(item.how):
            raise ValueError(f"{item.paper}, {item.item}: there is no `{item.how}`.")
        here = item.here or NOT_RUN
        lines.append(f"| {item.paper} | {item.item} | {what} | `{command_of(item.how)}` | {here} | {item.close} |")
    return lines


TEXT = """# The four papers

Every table and figure of the papers, the command that makes it here, what was run on two cores, and how close it came. Studies
print the published values beside ours. `--quick` is the size for two cores; without it a study has the paper's full schedule,
which is for a GPU; two networks were [trained on it](results/full-schedule.md) here. Numbers and their spread are in
[results](results.md). `python -m docs.papers_table` writes this page from the registry of studies and `docs/papers.csv`.

{table}

IML: Dablain et al. 2022, *Interpretable ML for Imbalanced Data*. FRAGILITY: Dablain et al. 2022, *Understanding CNN Fragility
When Learning With Imbalanced Data*; only its abstract was at hand, so its three image sets are three of those of EOS. LOOKING:
Khakzar et al. 2022, *Analyzing the Effects of Handling Data Imbalance on Learned Features from Medical Images by Looking Into
the Models*. EOS: Dablain et al. 2022, *Efficient Augmentation for Imbalanced Deep Learning*.

Commands that end in `--for-papers` write figures to `papers/` as SVG, PDF and PNG, 84 mm wide; studies do so in `figures/`.
Studies draw published values; charts of `audit` and `compare` do not, and the values are in the last column. ADASYN, which the
papers name among over-samplers, is there in feature space (`imblens treat --with adasyn`) and in pixel space
(`--oversample adasyn`); no table of EOS has a row for it.

Figures 6 and 8 of IML have a second panel, the same network trained with LDAM. These commands make both panels; what
they show here is among the results of the [full schedule](results/full-schedule.md). `--drw` is as in Cao et al. 2019; IML does
not state whether it is used.

```
imblens train cifar10 --root DIR --profile exp:100 --arch resnet32 --schedule cao200 --out CE
imblens train cifar10 --root DIR --profile exp:100 --arch resnet32 --schedule cao200 --loss ldam --drw --out LDAM
imblens compare CE LDAM --class truck --for-papers --out truck
```

Where an earlier form of a study differed from its paper, it was corrected, and what rested on it was run again or withdrawn:
ReMix of EOS is that of Bellinger et al. 2021 (the mixing of Chou et al. 2020 is `--rebalanced-mixup`); LDAM has deferred
re-weighting, and its features are those before the normalisation; the binary task of LOOKING has one output; SVHN and digits
are not mirrored. Two others changed no result: Table V of EOS trains WideResNet-16-4 (not 28-10), and LOOKING's images are
cropped at random before they are resized. CHANGELOG.md has all.

What their conclusions ask for and do not measure is in [results](results/causes.md#what-the-papers-suggest).
"""


def main() -> int:
    """Write the page."""
    PAGE.write_text(TEXT.format(table="\n".join(rows())), encoding="utf-8")
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
