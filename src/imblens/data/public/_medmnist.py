"""MedMNIST's twelve sets of images, with the names of their classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from imblens.data._images import ImageSet
from imblens.data.layouts._npz import read_npz
from imblens.data.public._files import folder_with
from imblens.errors import MissingError

_SIZES = ("", "_64", "_128", "_224")


class MedMnist(NamedTuple):
    """One set: what its images are, its classes, and its training counts (None where images are multi-label)."""

    of: str
    classes: tuple[str, ...]
    images: tuple[int, int, int]
    counts: tuple[int, ...] | None
    licence: str = "CC BY 4.0"


_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver"),
    *("lung-left", "lung-right", "pancreas", "spleen"),
)
MEDMNIST = {
    "pathmnist": MedMnist(
        "colon tissue",
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
        (89_996, 10_004, 7_180),
        (9366, 9509, 10360, 10401, 8006, 12182, 7886, 9401, 12885),
    ),
    "chestmnist": MedMnist(
        "chest X-rays",
        (
            *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia", "pneumothorax"),
            *("consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
        ),
        (78_468, 11_219, 22_433),
        None,
    ),
    "dermamnist": MedMnist(
        "skin lesions",
        (
            *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
            *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
        ),
        (7_007, 1_003, 2_005),
        (228, 359, 769, 80, 779, 4693, 99),
        "CC BY-NC 4.0",
    ),
    "octmnist": MedMnist(
        "retinas in optical coherence tomography",
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
        (97_477, 10_832, 1_000),
        (33484, 10213, 7754, 46026),
    ),
    "pneumoniamnist": MedMnist("chest X-rays of children", ("normal", "pneumonia"), (4_708, 524, 624), (1214, 3494)),
    "retinamnist": MedMnist(
        "retinas by grade of diabetic retinopathy",
        tuple(f"grade {grade}" for grade in range(5)),
        (1_080, 120, 400),
        (486, 128, 206, 194, 66),
    ),
    "breastmnist": MedMnist("breast ultrasound", ("malignant", "normal, benign"), (546, 78, 156), (147, 399)),
    "bloodmnist": MedMnist(
        "blood cells",
        (
            *("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte", "monocyte"),
            *("neutrophil", "platelet"),
        ),
        (11_959, 1_712, 3_421),
        (852, 2181, 1085, 2026, 849, 993, 2330, 1643),
    ),
    "tissuemnist": MedMnist(
        "kidney cortex cells",
        (
            *("collecting duct, connecting tubule", "distal convoluted tubule", "glomerular endothelial cells"),
            *("interstitial endothelial cells", "leukocytes", "podocytes", "proximal tubule segments"),
            "thick ascending limb",
        ),
        (165_466, 23_640, 47_280),
        (53075, 7814, 5866, 15406, 11789, 7705, 39203, 24608),
    ),
    "organamnist": MedMnist(
        "organs in axial tomograms",
        _ORGANS,
        (34_561, 6_491, 17_778),
        (1956, 1390, 1357, 1474, 3963, 3817, 6164, 3919, 3929, 3031, 3561),
    ),
    "organcmnist": MedMnist(
        "organs in coronal tomograms",
        _ORGANS,
        (12_975, 2_392, 8_216),
        (1148, 619, 600, 698, 1088, 1170, 2986, 1002, 1022, 1173, 1469),
    ),
    "organsmnist": MedMnist(
        "organs in sagittal tomograms",
        _ORGANS,
        (13_932, 2_452, 8_827),
        (1148, 630, 614, 721, 1132, 1119, 3464, 741, 803, 2004, 1556),
    ),
}


def read_medmnist(name: str, root: Path, seed: int | None) -> ImageSet:
    """Read NAME.npz (28 x 28), or NAME_64.npz, NAME_128.npz, NAME_224.npz where that is the one there.

    Raises:
        MissingError: none of them is there.
        InputError: the archive cannot be used (see `read_npz`).
    """
    for size in _SIZES:
        try:
            folder = folder_with(root, f"{name}{size}.npz", [name])
        except MissingError:
            continue
        return read_npz(folder / f"{name}{size}.npz", seed=seed, classes=MEDMNIST[name].classes)
    raise MissingError(f"there is no {name}.npz in {root}.")
