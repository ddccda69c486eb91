"""Files in unusual forms: images, tables, archives, runs, lists and what a user states, read as they should be or refused.

python -m tests.trust.files       the counts per kind, and every file that does not come to what its table states
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from imblens import decisions
from imblens.data import decode, load_images
from imblens.errors import ImblensError
from imblens.run import Run
from tests.trust.inputs import FEATURES, LABELS, NAMES, REFUSED, SERVED, TEST_FEATURES, TEST_LABELS
from tests.trust.options import run as plain_run

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
GREY = PIXELS[..., 0]


@dataclass(frozen=True)
class Case:
    """A file: how it is written, how it is read, and what should come of it (None: refused)."""

    kind: str
    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], Any]
    right: Callable[[], Any] | None


# ------------------------------------------------------------------------------------------------------- images


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(PIXELS), "PNG", exif=exif.tobytes())


def claimed(width: int, height: int) -> bytes:
    """A PNG whose header claims another size than its pixels have."""
    import struct
    import zlib

    content = bytearray(encoded(Image.fromarray(PIXELS), "PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def of_image(content: Callable[[], bytes]) -> tuple[Callable[[Path], object], Callable[[Path], Any]]:
    return (lambda path: path.write_bytes(content())), (lambda path: decode(path.read_bytes(), "x.png"))


RGB, COLOURS = Image.fromarray(PIXELS), lambda: PIXELS
IN_GREY = lambda: np.repeat(GREY[..., None], 3, 2)  # noqa: E731
WIDE = Image.fromarray(GREY.astype(np.uint16) * 257)
OPAQUE = Image.merge("RGBA", (*RGB.split(), Image.new("L", RGB.size, 255)))
CLEAR = Image.merge("RGBA", (*RGB.split(), Image.new("L", RGB.size, 0)))
IMAGES: list[tuple[str, Callable[[], bytes], Callable[[], Any] | None]] = [
    ("grey", lambda: encoded(Image.fromarray(GREY), "PNG"), IN_GREY),
    ("16 bits", lambda: encoded(WIDE, "PNG"), IN_GREY),
    ("16-bit TIFF", lambda: encoded(WIDE, "TIFF"), IN_GREY),
    ("palette", lambda: encoded(RGB.quantize(256), "PNG"), lambda: np.array(RGB.quantize(256).convert("RGB"))),
    (
        "one bit",
        lambda: encoded(Image.fromarray(GREY > 99), "PNG"),
        lambda: np.repeat((GREY > 99)[..., None] * 255, 3, 2),
    ),
    ("opaque", lambda: encoded(OPAQUE, "PNG"), COLOURS),
    ("transparent", lambda: encoded(CLEAR, "PNG"), lambda: np.full_like(PIXELS, 255)),
    ("CMYK", lambda: encoded(RGB.convert("CMYK"), "TIFF"), lambda: np.array(RGB.convert("CMYK").convert("RGB"))),
    ("animated GIF", lambda: encoded(Image.fromarray(GREY), "GIF", save_all=True, append_images=[CLEAR]), IN_GREY),
    ("animated PNG", lambda: encoded(RGB, "PNG", save_all=True, append_images=[CLEAR.convert("RGB")]), COLOURS),
    ("rotated by its EXIF", rotated, lambda: np.rot90(PIXELS, -1)),
    ("PPM", lambda: encoded(RGB, "PPM"), COLOURS),
    ("PNG that ends early", lambda: encoded(RGB, "PNG")[:-30], None),
    ("header only", lambda: encoded(RGB, "PNG")[:33], None),
    ("JPEG that ends early", lambda: encoded(RGB.resize((200, 200)), "JPEG")[:-400], None),
    ("empty", lambda: b"", None),
    ("text", lambda: b"no image", None),
    ("SVG", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
    ("EPS", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", None),
    ("claims 40,000 x 40,000", lambda: claimed(40_000, 40_000), None),
    ("claims no columns", lambda: claimed(0, 6), None),
    ("floats", lambda: encoded(Image.fromarray(GREY.astype(np.float32)), "TIFF"), None),
]

# ------------------------------------------------------------------------------------------------------- tables

FRAME = pd.DataFrame(np.vstack([FEATURES, TEST_FEATURES]), columns=list("abcde")).assign(
    y=np.array(NAMES)[np.r_[LABELS, TEST_LABELS]], s=["train"] * 78 + ["test"] * 36
)


def of_table(change: Callable[[pa.Table], pa.Table]) -> tuple[Callable[[Path], object], Callable[[Path], Any]]:
    return (
        lambda path: pq.write_table(change(pa.Table.from_pandas(FRAME)), path),
        lambda path: sums(Run.from_table(path, features=list("abcde"), label="y", split="s")),
    )


def sums(run: Run) -> Any:
    assert run.test is not None
    return np.array([*np.asarray(run.train.features).sum(0), *run.train.class_counts, *run.test.class_counts])


def plain_sums() -> Any:
    return np.array([*(FEATURES - 0).sum(0), *np.bincount(LABELS), *np.bincount(TEST_LABELS)])


def cast(column: str, kind: Any) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(column), column, table[column].cast(kind))


def replaced(column: str, values: Callable[[pa.Table], Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(column), column, pa.array(values(table)))


TABLES: list[tuple[str, Callable[[pa.Table], pa.Table], Callable[[], Any] | None]] = [
    ("float32", cast("a", pa.float32()), plain_sums),
    ("decimals", cast("a", pa.decimal128(9, 4)), plain_sums),
    ("large strings", cast("y", pa.large_string()), plain_sums),
    (
        "a dictionary of names",
        lambda t: replaced("y", lambda u: u["y"].combine_chunks().dictionary_encode())(t),
        plain_sums,
    ),
    ("binary names", cast("y", pa.binary()), None),
    ("row groups of nothing", lambda t: pa.concat_tables([t.slice(0, 0), t]), plain_sums),
    ("more columns", lambda t: t.append_column("z", pa.array([{"k": 1}] * len(t))), plain_sums),
    ("text where numbers belong", cast("a", pa.string()), None),
    ("dates", replaced("a", lambda t: np.arange(len(t)).astype("datetime64[s]")), None),
    ("nulls in features", replaced("a", lambda t: [None, *t["a"].to_pylist()[1:]]), None),
    ("nulls in labels", replaced("y", lambda t: [None, *t["y"].to_pylist()[1:]]), None),
    ("nulls in splits", replaced("s", lambda t: [None, *t["s"].to_pylist()[1:]]), None),
    ("infinity", replaced("a", lambda t: [float("inf"), *t["a"].to_pylist()[1:]]), None),
    ("lists of lists", replaced("a", lambda t: [[[1.0]]] * len(t)), None),
    ("unknown splits", replaced("s", lambda t: ["dev"] * len(t)), None),
    ("no rows", lambda t: t.slice(0, 0), None),
    ("a column twice", lambda t: t.append_column("a", t["b"]), None),
    ("a column less", lambda t: t.drop_columns(["e"]), None),
]

# --------------------------------------------------------------------------------------------------- runs, archives


def changed_run(change: Callable[[Path], object]) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        plain_run().save(path)
        change(path)

    return write


def in_manifest(**values: Any) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        manifest = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps(manifest | values))

    return change


def read_run(path: Path) -> Any:
    return sums(Run.load(path))


RUNS: list[tuple[str, Callable[[Path], object], Callable[[], Any] | None]] = [
    ("as it is", lambda path: None, plain_sums),
    (
        "Windows line ends",
        lambda p: (p / "run.json").write_bytes((p / "run.json").read_bytes().replace(b"\n", b"\r\n")),
        plain_sums,
    ),
    ("a newer schema", in_manifest(schema=2), None),
    ("no schema", in_manifest(schema=None), None),
    ("another task", in_manifest(task="regression"), None),
    ("classes of another number", in_manifest(classes=["one"]), None),
    ("classes that repeat", in_manifest(classes=["a", "a", "b"]), None),
    ("no manifest", lambda p: (p / "run.json").unlink(), None),
    ("an empty manifest", lambda p: (p / "run.json").write_text(""), None),
    ("a manifest cut", lambda p: (p / "run.json").write_text((p / "run.json").read_text()[:200]), None),
    ("a missing part", lambda p: shutil.rmtree(p / "train"), None),
    ("a file cut", lambda p: (f := p / "train/part-00000/features.npy").write_bytes(f.read_bytes()[:-8]), None),
    (
        "a file changed",
        lambda p: (f := p / "train/part-00000/features.npy").write_bytes(f.read_bytes()[:-1] + b"x"),
        None,
    ),
    ("a head of another size", lambda p: (p / "head.safetensors").write_bytes(b"\x08" + b"\0" * 7 + b"{}      "), None),
]


def of_archive(**arrays: Any) -> Callable[[Path], object]:
    usual = {
        "train_features": FEATURES,
        "train_labels": LABELS,
        "test_features": TEST_FEATURES,
        "test_labels": TEST_LABELS,
    }
    given = {key: value for key, value in {**usual, **arrays}.items() if value is not None}
    return lambda path: np.savez(path.open("wb"), **given)


ARCHIVES: list[tuple[str, Callable[[Path], object], Callable[[], Any] | None]] = [
    ("big-endian", of_archive(train_features=FEATURES.astype(">f4")), plain_sums),
    ("float16", of_archive(train_features=FEATURES.astype(np.float16)), plain_sums),
    ("Fortran order", of_archive(train_features=np.asfortranarray(FEATURES)), plain_sums),
    (
        "names as labels",
        of_archive(train_labels=np.array(NAMES)[LABELS], test_labels=np.array(NAMES)[TEST_LABELS]),
        plain_sums,
    ),
    ("labels as a column", of_archive(train_labels=LABELS[:, None]), plain_sums),
    ("objects", of_archive(train_features=FEATURES.astype(object)), None),
    ("complex", of_archive(train_features=FEATURES + 1j), None),
    ("NaN", of_archive(train_features=np.where(FEATURES > 8, np.nan, FEATURES)), None),
    ("other widths", of_archive(test_features=TEST_FEATURES[:, :4]), None),
    ("labels too short", of_archive(train_labels=LABELS[:-1]), None),
    ("no labels", of_archive(train_labels=None), None),
    ("no features", of_archive(train_features=None), None),
    ("negative labels", of_archive(train_labels=LABELS - 1), None),
    ("names of another number", of_archive(class_names=np.array(["one"])), None),
    ("a text file", lambda path: path.write_text("hello"), None),
]

# ------------------------------------------------------------------------------------------------- lists and statements


@cache
def folder_of_images() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="imblens-trust-"))
    for split in ("train", "test"):
        (folder / split).mkdir()
        for i in range(4):
            Image.fromarray(PIXELS).save(folder / split / f"{split}{i}.png")
    return folder


LIST = "image,label,split\n" + "".join(
    f"{s}/{s}{i}.png,{'ab'[i % 2]},{s}\n" for s in ("train", "test") for i in range(4)
)


def read_list(path: Path) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(folder_of_images(), Path(folder) / "x")
        shutil.copyfile(path, Path(folder) / "x" / "labels.csv")
        images = load_images(Path(folder) / "x")
        assert images.test is not None
        assert len(images.train) == 4 or "Described images that are not in the folder: 1 of 8." in images.notes
        return np.array([np.bincount(images.train.labels), np.bincount(images.test.labels)])


def halves() -> Any:
    return np.array([[2, 2], [2, 2]])


def one_less() -> Any:
    """An image that no row describes is left out, with a note."""
    return np.array([[1, 2], [2, 2]])


def text(content: str, encoding: str = "utf-8") -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode(encoding))


LISTS: list[tuple[str, Callable[[Path], object], Callable[[], Any] | None]] = [
    ("as it is", text(LIST), halves),
    ("Windows line ends", text(LIST.replace("\n", "\r\n")), halves),
    ("old Macintosh line ends", text(LIST.replace("\n", "\r")), halves),
    ("paths of Windows", text(LIST.replace("/", "\\")), halves),
    ("paths from here", text(LIST.replace("train/", "./train/")), halves),
    ("byte order mark", text(LIST, "utf-8-sig"), halves),
    ("semicolons", text(LIST.replace(",", ";")), halves),
    ("tabulators", text(LIST.replace(",", "\t")), halves),
    ("quotes", text("\n".join(",".join(f'"{w}"' for w in row.split(",")) for row in LIST.splitlines())), halves),
    ("blank lines", text(LIST + "\n\n"), halves),
    ("no line end", text(LIST.rstrip()), halves),
    ("UTF-16", text(LIST, "utf-16"), None),
    ("an image that is not there", text(LIST.replace("train0", "train9")), one_less),
    ("a path that leaves the folder", text(LIST.replace("train/train0", "../../etc/passwd")), one_less),
    ("one row contradicts another", text(LIST + "train/train0.png,b,train\n"), None),
    ("no rows", text("image,label,split\n"), None),
    ("a null byte", text(LIST.replace("train0", "train\0")), one_less if sys.version_info >= (3, 11) else None),
]
PRIOR = "class,share\nant,0.5\nbee,0.25\ncat,0.25\n"


def read_prior(path: Path) -> Any:
    return decisions.read_prior(plain_run(), str(path))


def shares() -> Any:
    return np.array([0.5, 0.25, 0.25])


PRIORS: list[tuple[str, Callable[[Path], object], Callable[[], Any] | None]] = [
    ("as it is", text(PRIOR), shares),
    ("Windows line ends", text(PRIOR.replace("\n", "\r\n")), shares),
    ("byte order mark", text(PRIOR, "utf-8-sig"), shares),
    ("another order", text("class,share\ncat,0.25\nant,0.5\nbee,0.25\n"), shares),
    ("spaces", text(PRIOR.replace(",", ", ")), shares),
    ("shares below 0", text(PRIOR.replace("0.5", "-0.5")), None),
    ("shares of more than 1", text(PRIOR.replace("0.5", "0.9")), None),
    ("a class less", text("class,share\nant,0.5\nbee,0.5\n"), None),
    ("a class twice", text(PRIOR + "ant,0.5\n"), None),
    ("an unknown class", text(PRIOR.replace("cat", "dog")), None),
    ("text for a share", text(PRIOR.replace("0.5", "half")), None),
    ("nothing", text(""), None),
    ("NaN", text(PRIOR.replace("0.5", "nan")), None),
]


def cases() -> list[Case]:
    """Every file of the tables."""
    made = [Case("image", name, *of_image(content), right) for name, content, right in IMAGES]
    made += [Case("table", name, *of_table(change), right) for name, change, right in TABLES]
    made += [Case("run", name, changed_run(change), read_run, right) for name, change, right in RUNS]
    made += [Case("archive", name, write, read_run, right) for name, write, right in ARCHIVES]
    made += [Case("list", name, write, read_list, right) for name, write, right in LISTS]
    return made + [Case("prior", name, write, read_prior, right) for name, write, right in PRIORS]


SUFFIXES = {"image": ".png", "table": ".parquet", "run": "", "archive": ".npz", "list": ".csv", "prior": ".csv"}


def outcome(case: Case, folder: Path) -> tuple[str, str]:
    """What became of a file (served, refused, or a defect) and the message."""
    path = folder / f"given{SUFFIXES[case.kind]}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case.write(path)
        try:
            found = case.read(path)
        except ImblensError as error:
            return REFUSED, str(error)
        except Exception as error:
            return f"raised {type(error).__name__}", str(error)[:200]
    if case.right is None:
        return SERVED, ""
    right = case.right()
    return (SERVED, "") if np.shape(found) == np.shape(right) and np.allclose(found, right) else ("another result", "")


def expected(case: Case) -> str:
    """What should become of a file."""
    return REFUSED if case.right is None else SERVED


def main() -> int:
    """Print the counts per kind and every file that is not as stated; `-v` adds the messages."""
    wrong, counts = [], dict[str, Counter[str]]()
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            kind, said = outcome(case, Path(folder))
        counts.setdefault(case.kind, Counter())[kind] += 1
        if kind != expected(case):
            wrong.append(f"{case.kind}, {case.name}: expected {expected(case)}, {kind} {said}")
        elif said and "-v" in sys.argv:
            print(f"{case.kind}, {case.name}: {said}")
    for name, found in counts.items():
        print(f"{name:28} {found.total():4} files: " + ", ".join(f"{n} {k}" for k, n in sorted(found.items())))
    print(*wrong, f"{len(wrong)} not as stated", sep="\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
