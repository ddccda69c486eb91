"""Random files for every reader: only exceptions of imblens may come out.

    python -m tests.trust.fuzz READER --seconds 60      guided by coverage where atheris is installed, else by chance
    python -m tests.trust.fuzz all --seconds 60         each reader that long; `--at-once 3`: three at a time
    python -m tests.trust.fuzz npz,costs --seconds 60   these
    python -m tests.trust.fuzz                          the figures of results/fuzz.jsonl

The inputs are valid files of each kind with random changes. Whatever else comes out is kept once per place in the code, in
results/fuzz-<reader>-<digest>.bin; a line with executions, seconds and open crashes is added to results/fuzz.jsonl. Memory is
limited to 4 GiB of address space above the start.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

GUIDED = importlib.util.find_spec("atheris") is not None
RESULTS = Path(__file__).parent / "results"
ROOM = 4 * 2**30  # bytes of memory an input may need
TOKENS = [
    b"\0",
    b"\xff" * 8,
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b'"',
    b"../..",
    b"\r\n",
    b"\xef\xbb\xbf",
    b",",
]


@dataclass(frozen=True)
class Reader:
    """A reader and valid files of its kind.

    Attributes:
        read: from the path of a file.
        seeds: its valid files.
        suffix: of the file's name.
    """

    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]
    suffix: str


def small_run() -> Any:
    """Return a run of 24 instances."""
    from imblens.run import Run

    rng = np.random.default_rng(0)
    parts = [(rng.normal(size=(24, 3)), np.repeat([0, 1, 2], [12, 8, 4])) for _ in range(3)]
    return Run.from_arrays(
        train=parts[0], val=parts[1], test=parts[2], head=(np.eye(3), np.zeros(3)), classes=list("abc")
    )


@cache
def known_run() -> Any:
    """Return one such run, made once."""
    return small_run()


@cache
def room() -> Path:
    """A folder for the files of this process, in memory where that exists."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))


def saved(write: Callable[[Path], object], suffix: str) -> bytes:
    """Return what `write` writes into a file of that suffix."""
    path = room() / f"seed{suffix}"
    write(path)
    content = path.read_bytes()
    path.unlink()
    return content


def archives() -> list[bytes]:
    run = known_run()
    arrays = {"train_features": run.train.features, "train_labels": run.train.labels}
    return [
        saved(lambda path: np.savez(path, **arrays), ".npz"),
        saved(lambda path: np.savez_compressed(path, **arrays, class_names=np.array(list("abc"))), ".npz"),
    ]


def read_archive(path: Path) -> object:
    from imblens.run import Run

    return Run.load(path)


def folder_with(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from imblens.run import Run

        folder = room() / "run"
        if not folder.exists():
            known_run().save(folder)
        shutil.copyfile(path, folder / name)
        run = Run.load(folder)
        return run.train.features.sum(), run.train.ids[0]

    return read


def file_of_run(name: str) -> Callable[[], list[bytes]]:
    def seeds() -> list[bytes]:
        folder = room() / "given"
        if not folder.exists():
            known_run().save(folder)
        return [(folder / name).read_bytes()]

    return seeds


def rules() -> list[bytes]:
    from imblens.decisions import Decision

    return [saved(lambda path: Decision.fit(known_run()).save(path), ".safetensors")]


def read_rules(path: Path) -> object:
    from imblens.decisions import Decision

    return Decision.load(path).predict(np.zeros((2, 3)))


def tables() -> list[bytes]:
    import pandas as pd

    frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "z": [1.0, 0, 1, 0], "y": ["a", "b", "a", "b"]})
    frame["split"] = ["train", "train", "test", "test"]
    return [
        saved(frame.to_parquet, ".parquet"),
        saved(lambda path: frame.to_parquet(path, compression=None), ".parquet"),
    ]


def read_table(path: Path) -> object:
    from imblens.run import Run

    return Run.from_table(path, features=["x", "z"], label="y", split="split")


def feathers() -> list[bytes]:
    import pandas as pd

    frame = pd.DataFrame({"x": [0.0, 1, 2, 3], "z": [1.0, 0, 1, 0], "y": ["a", "b", "a", "b"]})
    return [saved(frame.assign(split=["train", "train", "test", "test"]).to_feather, ".feather")]


def pictures() -> list[bytes]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype(np.uint8)
    made = []
    for mode, kind in [
        ("RGB", "PNG"),
        ("RGB", "JPEG"),
        ("RGB", "PPM"),
        ("L", "PNG"),
        ("P", "GIF"),
        ("RGBA", "PNG"),
        ("RGB", "BMP"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
        ("RGB", "TIFF"),
        ("RGB", "WEBP"),
    ]:
        file = io.BytesIO()
        image = (
            Image.fromarray(pixels[..., 0].astype(np.uint16))
            if mode == "I;16"
            else Image.fromarray(pixels).convert(mode)
        )
        image.save(file, kind)
        made.append(file.getvalue())
    return made


def read_picture(path: Path) -> object:
    from imblens.data import decode

    return decode(path.read_bytes(), "the image")


@cache
def image_folder() -> Path:
    from PIL import Image

    folder = room() / "images"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (4, 4), (60 * i, 0, 0)).save(folder / split / f"{split}{i}.png")
    return folder


def beside_images(name: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from imblens.data import load_images

        folder = image_folder()
        shutil.copyfile(path, folder / name)
        try:
            return load_images(folder)
        finally:
            (folder / name).unlink()

    return read


LIST = b"image,label,split\ntrain/train0.png,a,train\ntrain/train1.png,b,train\ntest/test0.png,a,test\ntest/test1.png,b,test\n"
NIH = b"Image Index,Finding Labels,Patient ID\ntrain0.png,Effusion|Mass,1\ntrain1.png,No Finding,2\ntest0.png,Mass,3\n"
CHEXPERT = b"Path,Sex,Edema,Mass\ntrain/train0.png,F,1.0,\ntrain/train1.png,M,0.0,-1.0\ntrain/train2.png,M,,1.0\n"
COCO = json.dumps(
    {
        "images": [{"id": i, "file_name": f"train{i}.png", "width": 4, "height": 4} for i in range(3)],
        "annotations": [{"id": i, "image_id": i, "category_id": i % 2 + 1, "bbox": [0, 0, 2, 2]} for i in range(3)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
).encode()
VOC = b"""<annotation><filename>train0.png</filename><size><width>4</width><height>4</height></size>
<object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object></annotation>"""
BOXES = b"image,xmin,ymin,xmax,ymax,label\ntrain0.png,0,0,2,2,a\ntrain1.png,1,1,3,3,b\n"
STUDY = b"""question = "?"
treatments = ["none", "eos k_neighbors=5"]
measures = ["accuracy", "gap"]
claims = ["eos > none"]
seeds = [0, 1]
[[data]]
name = "digits"
source = "digits"
[train]
arch = "smallnet"
epochs = 1
loss = ["ce"]
"""


@cache
def drawn() -> Any:
    from imblens.data import load_images

    path = image_folder() / "labels.csv"
    path.write_bytes(LIST)
    images = load_images(image_folder())
    path.unlink()
    return images


def read_boxes(suffix: str) -> Callable[[Path], object]:
    def read(path: Path) -> object:
        from imblens.data import add_boxes

        return add_boxes(drawn(), path)

    return read


def read_dropped(path: Path) -> object:
    from imblens.data import drop_images

    return drop_images(drawn(), path)


def read_study(path: Path) -> object:
    from imblens.studies import find_study

    return find_study(path)


def read_prior(path: Path) -> object:
    from imblens import decisions

    return decisions.read_prior(known_run(), str(path))


def read_costs(path: Path) -> object:
    from imblens import decisions

    return decisions.read_costs(known_run(), path)


def read_labels(path: Path) -> object:
    from imblens import decisions

    run = known_run()
    data = decisions.Unlabelled(run.test.features, ids=[str(i) for i in range(len(run.test))])
    return decisions.read_labels(run, path, data)


def read_unlabelled(path: Path) -> object:
    from imblens import decisions

    return decisions.read_unlabelled(path)


def weights() -> list[bytes]:
    import torch

    model = torch.nn.Linear(3, 2)
    from safetensors.torch import save

    return [save(model.state_dict()), saved(lambda path: torch.save(model.state_dict(), path), ".pt")]


def read_weights(path: Path) -> object:
    import torch

    from imblens.models import load_weights

    return load_weights(torch.nn.Linear(3, 2), path)


def given(*seeds: bytes) -> Callable[[], list[bytes]]:
    return lambda: list(seeds)


PRIOR = b"class,share\na,0.5\nb,0.25\nc,0.25\n"
COSTS = b",a,b,c\na,0,1,2\nb,1,0,1\nc,5,1,0\n"
READERS: dict[str, Reader] = {
    "npz": Reader(read_archive, archives, ".npz"),
    "npy": Reader(read_unlabelled, lambda: [saved(lambda p: np.save(p, np.eye(3)), ".npy")], ".npy"),
    "run.json": Reader(folder_with("run.json"), file_of_run("run.json"), ".json"),
    "features.npy": Reader(
        folder_with("train/part-00000/features.npy"), file_of_run("train/part-00000/features.npy"), ".npy"
    ),
    "rules": Reader(read_rules, rules, ".safetensors"),
    "weights": Reader(read_weights, weights, ".pt"),
    "parquet": Reader(read_table, tables, ".parquet"),
    "feather": Reader(read_table, feathers, ".feather"),
    "images": Reader(read_picture, pictures, ".png"),
    "list": Reader(beside_images("labels.csv"), given(LIST), ".csv"),
    "nih": Reader(beside_images("Data_Entry_2017.csv"), given(NIH), ".csv"),
    "chexpert": Reader(beside_images("train.csv"), given(CHEXPERT), ".csv"),
    "coco": Reader(beside_images("annotations.json"), given(COCO), ".json"),
    "voc": Reader(beside_images("train0.xml"), given(VOC), ".xml"),
    "boxes.csv": Reader(read_boxes(".csv"), given(BOXES), ".csv"),
    "boxes.json": Reader(read_boxes(".json"), given(COCO), ".json"),
    "drop": Reader(read_dropped, given(b"id\ntrain/train0.png\n", b"train/train0.png\n"), ".csv"),
    "study": Reader(read_study, given(STUDY), ".toml"),
    "prior.csv": Reader(read_prior, given(PRIOR), ".csv"),
    "prior.json": Reader(read_prior, given(b'{"a": 0.5, "b": 0.25, "c": 0.25}'), ".json"),
    "costs": Reader(read_costs, given(COSTS), ".csv"),
    "labels": Reader(read_labels, given(b"id,label\n0,a\n5,b\n7,c\n"), ".csv"),
}


def fault(reader: Reader, content: bytes) -> tuple[str, str] | None:
    """Read `content`; where another exception than ours comes out, the place it came from and its text."""
    from imblens.errors import ImblensError

    path = room() / f"input{reader.suffix}"
    path.write_bytes(content)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            reader.read(path)
    except ImblensError:
        return None
    except Exception as error:
        ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "imblens" in frame.filename]
        last = ours[-1] if ours else traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} {Path(last.filename).name}:{last.name}", str(error)[:200]
    return None


def changed(seeds: list[bytes], rng: np.random.Generator) -> bytes:
    """Return a seed with a few random changes."""
    content = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(content) + 1))
        kind = rng.integers(6)
        if kind == 0 and content:
            content[min(place, len(content) - 1)] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del content[place : place + int(rng.integers(1, 9))]
        elif kind == 2:
            content[place:place] = TOKENS[rng.integers(len(TOKENS))]
        elif kind == 3:
            del content[place:]
        elif kind == 4:
            other = seeds[rng.integers(len(seeds))]
            start = int(rng.integers(len(other) + 1))
            content[place : place + 8] = other[start : start + 8]
        elif content:
            content[min(place, len(content) - 1)] = int(rng.integers(256))
    return bytes(content)


class Tally:
    """Counts inputs, keeps one file per kind of fault, and writes the line of results."""

    def __init__(self, name: str, seconds: float) -> None:
        """Start the clock."""
        self.name, self.reader = name, READERS[name]
        self.start, self.seconds, self.count = time.monotonic(), seconds, 0
        self.used = time.process_time()
        self.faults: dict[str, str] = {}

    def one(self, content: bytes) -> None:
        """Try one input; ends the process when the time is over."""
        self.count += 1
        found = fault(self.reader, content)
        if found is not None and found[0] not in self.faults:
            self.faults[found[0]] = found[1]
            RESULTS.mkdir(exist_ok=True)
            digest = hashlib.sha256(found[0].encode()).hexdigest()[:8]
            (RESULTS / f"fuzz-{self.name}-{digest}.bin").write_bytes(content)
            print(f"{self.name}: {found[0]}: {found[1]}", flush=True)
        if time.monotonic() - self.start > self.seconds:
            self.end()

    def end(self) -> None:
        """Write the line of results and end the process."""
        line = {
            "reader": self.name,
            "guided": GUIDED,
            "executions": self.count,
            "seconds": round(time.monotonic() - self.start),
            "processor": round(time.process_time() - self.used),
            "open": self.faults,
        }
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / "fuzz.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        shutil.rmtree(room(), ignore_errors=True)
        os._exit(int(bool(self.faults)))


def fuzz(name: str, seconds: float) -> None:
    """Try random inputs of one reader; ends the process."""
    seeds = READERS[name].seeds()
    tally = Tally(name, seconds)
    for seed in seeds:
        tally.one(seed)
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.RLIM_INFINITY))
    if not GUIDED:
        rng = np.random.default_rng(int(time.time()))
        while True:
            tally.one(changed(seeds, rng))
    import atheris

    corpus = room() / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(seeds):
        (corpus / str(i)).write_bytes(seed)
    atheris.Setup(
        [
            "fuzz",
            str(corpus),
            "-timeout=60",
            "-rss_limit_mb=0",
            "-verbosity=0",
            "-print_final_stats=0",
            "-max_len=65536",
            f"-artifact_prefix={room()}/",
        ],
        tally.one,
    )
    atheris.Fuzz()


def figures() -> list[str]:
    """Sentences on the lines of results; open crashes are those of the last line of each reader."""
    path = RESULTS / "fuzz.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    last = {line["reader"]: line for line in lines}
    still = {name: line["open"] for name, line in last.items() if line["open"]}
    return [
        f"fuzzing: {sum(line['executions'] for line in lines):,} inputs of {len(last)} of {len(READERS)} readers in "
        f"{sum(line['seconds'] for line in lines) / 60:.0f} minutes, guided by coverage in "
        f"{sum(line['seconds'] for line in lines if line['guided']) / 60:.0f} of them, "
        f"{sum(map(len, still.values()))} open crashes",
        *(f"open: {name}: {place}: {text}" for name, found in still.items() for place, text in found.items()),
    ]


def main() -> int:
    """Fuzz one reader or all, or print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("readers", nargs="?", help="names with commas between them, or all")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--at-once", type=int, default=1)
    asked = parser.parse_args()
    if asked.readers is None:
        print(*figures(), sep="\n")
        return 0
    names = list(READERS) if asked.readers == "all" else asked.readers.split(",")
    if unknown := set(names) - set(READERS):
        parser.error(f"no reader {', '.join(unknown)}; known: {', '.join(READERS)}")
    if GUIDED:
        import atheris

        with atheris.instrument_imports(include=["imblens"], enable_loader_override=False):
            import imblens.data
            import imblens.decisions
            import imblens.models
            import imblens.run
            import imblens.studies  # noqa: F401
    running = 0
    for name in names:  # each in a child, so that a crash of the interpreter ends one reader only
        if os.fork() == 0:
            try:
                fuzz(name, asked.seconds)
            finally:
                os._exit(1)
        running += 1
        if running >= asked.at_once:
            os.wait()
            running -= 1
    while running:
        os.wait()
        running -= 1
    print(*figures(), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
