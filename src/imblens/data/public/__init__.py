"""Public image sets by name: description, download and reader of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from imblens.base.registry import Registry
from imblens.data._entries import Uncertain
from imblens.data._images import ImageSet
from imblens.data._mirrored import unmirrored
from imblens.data.layouts._columns import ReadOptions
from imblens.data.layouts._tables import read_tables, table_files
from imblens.data.public._celeba import HAIR, hair_classes, read_celeba
from imblens.data.public._cifar import read_cifar
from imblens.data.public._hub import Hub as Hub
from imblens.data.public._hub import read_hub as read_hub
from imblens.data.public._inaturalist import SUPER_CATEGORIES, read_inaturalist
from imblens.data.public._medmnist import MEDMNIST as MEDMNIST
from imblens.data.public._medmnist import MedMnist, read_medmnist
from imblens.data.public._places import HUNDRED as HUNDRED
from imblens.data.public._places import MOST as MOST
from imblens.data.public._places import TEN as TEN
from imblens.data.public._places import read_places
from imblens.data.public._svhn import read_svhn
from imblens.data.public._unpickle import unpickle as unpickle
from imblens.errors import InputError, MissingError


@dataclass(frozen=True)
class PublicSet:
    """The entry of a set in `imblens list data`, and its reader.

    Attributes:
        counts: images of each split, classes, size.
        imbalance: largest over smallest class in training as published, and the profile that papers use.
        licence: as stated by its owners.
        get: what to download from where.
        read: function of (name, folder, seed) that reads it; None for images with tables of labels.
        hub: its place on Hugging Face, or None.
        more: reference and further facts.
        may_be_mirrored: whether a mirrored image is of its class.
    """

    counts: str
    imbalance: str
    licence: str
    get: str
    read: Callable[[str, Path, int | None], ImageSet] | None
    hub: Hub | None = None
    more: str = ""
    may_be_mirrored: bool = True


_SIDES = ("organamnist", "organcmnist")  # axial and coronal: a mirrored left kidney looks like a right one
_LABELS_OF_NIH = "88:1, multi-label"  # Infiltration 19,870, Hernia 227 of all 112,120


def _medmnist(name: str, entry: MedMnist) -> PublicSet:
    train, val, test = entry.images
    ratio = f"{max(entry.counts) / min(entry.counts):.1f}:1" if entry.counts else _LABELS_OF_NIH
    return PublicSet(
        counts=f"{entry.of}: {train:,} train, {val:,} val, {test:,} test, {len(entry.classes)} "
        f"{'classes' if entry.counts else 'labels'}, 28 x 28 (or 64, 128, 224)",
        imbalance=ratio,
        licence=entry.licence,
        get=f"{name}.npz from https://zenodo.org/records/10519652",
        read=read_medmnist,
        more="Yang et al. 2023, MedMNIST v2. The classes: " + "; ".join(entry.classes) + ".",
        may_be_mirrored=name not in _SIDES,
    )


_CIFAR = "https://www.cs.toronto.edu/~kriz/cifar.html"
_PLACES = (
    "train_256_places365standard.tar, val_256.tar and filelist_places365-standard.tar, or places365standard_easyformat.tar, "
    "from http://places2.csail.mit.edu/download.html"
)
_SETS: dict[str, PublicSet] = {
    "cifar10": PublicSet(
        counts="50,000 train, 10,000 test, 10 classes, 32 x 32",
        imbalance="balanced; long-tailed with --profile exp:100",
        licence="none stated",
        get=f"cifar-10-python.tar.gz or cifar-10-binary.tar.gz from {_CIFAR}",
        read=read_cifar,
        hub=Hub("uoft-cs/cifar10", "plain_text", "img", "label"),
        more="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images. Profile exp:100 with seed 0 draws the "
        "long-tailed set that published work uses, row by row.",
    ),
    "cifar100": PublicSet(
        counts="50,000 train, 10,000 test, 100 classes, 32 x 32",
        imbalance="balanced; long-tailed with --profile exp:10",
        licence="none stated",
        get=f"cifar-100-python.tar.gz or cifar-100-binary.tar.gz from {_CIFAR}",
        read=read_cifar,
        hub=Hub("uoft-cs/cifar100", "cifar100", "img", "fine_label"),
        more="Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images. The 100 fine classes.",
    ),
    "svhn": PublicSet(
        counts="73,257 train, 26,032 test, 10 classes, 32 x 32",
        imbalance="3.0:1; long-tailed with --profile exp:100",
        licence="non-commercial use",
        get="train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers",
        read=read_svhn,
        hub=Hub("ufldl-stanford/svhn", "cropped_digits", "image", "label"),
        more="Netzer et al. 2011, Reading Digits in Natural Images. The 531,131 extra images are not used.",
        may_be_mirrored=False,
    ),
    "celeba": PublicSet(
        counts="faces with one of 5 kinds of hair, out of 202,599, 218 x 178",
        imbalance="about 11:1, by the counts of the attributes; EOS has 40:1 (--profile exp:40)",
        licence="non-commercial research",
        get="img_align_celeba.zip, list_attr_celeba.txt and list_eval_partition.txt from "
        "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        read=read_celeba,
        hub=Hub("flwrlabs/celeba", "img_align+identity+attr", "image", tuple(HAIR), tuple(HAIR.values()), hair_classes),
        more="Liu et al. 2015, Deep Learning Face Attributes in the Wild. The classes of EOS, section IV-A, in its order: "
        "black, brown, blond, gray, bald. Faces with none or several of these attributes are left out.",
    ),
    "places10": PublicSet(
        counts="25,000 train, 5,000 test, 1,000 val, 10 of 365 classes, 256 x 256",
        imbalance="balanced; IML has 5:1 (--profile step:5)",
        licence="non-commercial research and education",
        get=_PLACES,
        read=read_places,
        more="Zhou et al. 2017, Places. Every tenth of the hundred classes of places100: " + ", ".join(TEN) + ".",
    ),
    "places100": PublicSet(
        counts="250,000 train, 15,000 test, 10,000 val, 100 of 365 classes, 256 x 256",
        imbalance="balanced; IML has 10:1 (--profile exp:10)",
        licence="non-commercial research and education",
        get=_PLACES,
        read=read_places,
        more="Zhou et al. 2017, Places. IML does not name its classes; these are evenly spaced in the alphabet, so that "
        "nothing but their names chose them: " + ", ".join(HUNDRED) + ".",
    ),
    "inaturalist": PublicSet(
        counts="579,184 train, 95,986 val, 13 super-categories, up to 800 x 800",
        imbalance=f"{max(SUPER_CATEGORIES.values()) / min(SUPER_CATEGORIES.values()):.0f}:1",
        licence="non-commercial research and education",
        get="train_val_images.tar.gz and train_val2017.zip from https://github.com/visipedia/inat_comp/tree/master/2017",
        read=read_inaturalist,
        more="Van Horn et al. 2018, The iNaturalist Species Classification and Detection Dataset, year 2017. IML trains on "
        "72,358 of the images, at 50:1, and does not state which. Training images: "
        + ", ".join(f"{name} {count:,}" for name, count in SUPER_CATEGORIES.items())
        + ".",
    ),
    "nih-cxr14": PublicSet(
        counts="112,120 chest X-rays of 30,805 patients (86,524 train and val, 25,596 test), 14 labels, 1024 x 1024",
        imbalance=_LABELS_OF_NIH,
        licence="no restrictions; name the NIH Clinical Center and cite",
        get="images_001.tar.gz to images_012.tar.gz, Data_Entry_2017.csv, train_val_list.txt, test_list.txt and "
        "BBox_List_2017.csv from https://nihcc.app.box.com/v/ChestXray-NIHCC",
        read=None,
        more="Wang et al. 2017, ChestX-ray8. Scale images down with --size 224, as LOOKING has them.",
    ),
    "chexpert": PublicSet(
        counts="223,414 train, 234 val chest X-rays, 13 labels and No Finding, about 390 x 320 (small)",
        imbalance="43:1, multi-label, some labels uncertain (--uncertain)",
        licence="Stanford's agreement for research use",
        get="CheXpert-v1.0-small.zip from https://stanfordmlgroup.github.io/competitions/chexpert",
        read=None,
        more="Irvin et al. 2019, CheXpert. The ratio is that of support devices to other pleural findings, by studies, in its "
        "Table 1.",
    ),
    **{name: _medmnist(name, entry) for name, entry in MEDMNIST.items()},
}
PUBLIC: Registry[PublicSet] = Registry("public image set", _SETS)


def describe(name: str) -> str:
    """Describe a set; the first line gives counts, imbalance, licence, and what to download."""
    entry = PUBLIC[name]
    sources = f"imblens train {name} --root DIR, where DIR holds what the download unpacks to"
    if entry.hub is not None:
        sources += (
            f"\n          imblens train {name} --hub, which downloads {entry.hub.repository} through Hugging Face"
        )
    more = entry.more if entry.may_be_mirrored else f"{entry.more} Training does not mirror its images."
    return f"{entry.counts}; {entry.imbalance}; licence: {entry.licence}; get {entry.get}\n\n{sources}\n\n{more}"


def read_public(name: str, *, root: Path | None, hub: bool, seed: int | None, uncertain: Uncertain) -> ImageSet:
    """Read a public set from a folder of the published files, or through Hugging Face.

    Raises:
        MissingError: no folder is given, or files are not in it; the hint names the download.
        InputError: files that are damaged or not what they should be.
    """
    images = _read(name, PUBLIC[name], root=root, hub=hub, seed=seed, uncertain=uncertain)
    return images if PUBLIC[name].may_be_mirrored else unmirrored(images)


def _read(
    name: str, entry: PublicSet, *, root: Path | None, hub: bool, seed: int | None, uncertain: Uncertain
) -> ImageSet:
    if hub:
        if entry.hub is None:
            raise MissingError(f"{name} is not read from Hugging Face.", hint=f"Download {entry.get}; give --root DIR.")
        return read_hub(name, entry.hub, seed)
    if root is None:
        online = ", or add --hub to download it through Hugging Face" if entry.hub else ""
        raise MissingError(
            f"{name} is read from its published files, and no folder is given.",
            hint=f"Download {entry.get}; give the folder that holds it, unpacked, with --root DIR{online}.",
        )
    if not root.is_dir():
        raise MissingError(f"--root {root} is not a folder.", hint="Give the folder that holds the published files.")
    try:
        return _read_tables(name, root, seed, uncertain) if entry.read is None else entry.read(name, root, seed)
    except MissingError as error:
        packed = [p.name for p in sorted(root.iterdir()) if p.suffix in (".gz", ".tar", ".zip") and p.name in entry.get]
        hint = f"Download {entry.get}; give the folder that holds it, unpacked, with --root DIR."
        if packed:
            hint = f"Unpack {', '.join(packed)} there. {hint}"
        raise MissingError(f"{name}: {error.message}", hint=hint) from error
    except InputError as error:
        if str(root) in error.message or error.message.startswith(f"{name}: "):
            raise
        raise type(error)(f"{name} in {root}: {error.message}", hint=error.hint) from error


def _read_tables(name: str, root: Path, seed: int | None, uncertain: Uncertain) -> ImageSet:
    for folder in (root, root / "CheXpert-v1.0-small", root / "CheXpert-v1.0"):
        tables = table_files(folder)
        if tables:
            return replace(read_tables(folder, tables, ReadOptions(seed, uncertain)), name=name)
    raise MissingError(f"there is no table of labels in {root}.")
