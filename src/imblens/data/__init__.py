"""Pictures, labels and boxes: folders, Parquet, .npz, built-in and public sets; imbalance profiles."""

from imblens.data._any_label import finding_or_none
from imblens.data._boxes import add_boxes
from imblens.data._digits import digits
from imblens.data._drop import drop_pictures
from imblens.data._load import built_in_sets, load_pictures, picture_sets
from imblens.data._pictures import Pictures, PictureSet
from imblens.data._profiles import Profile, draw_profile, imbalance_profile, parse_profile
from imblens.data._shapes import CAUSES, shapes
from imblens.data._sources import memory_limit

__all__ = [
    "CAUSES",
    "PictureSet",
    "Pictures",
    "Profile",
    "add_boxes",
    "built_in_sets",
    "digits",
    "draw_profile",
    "drop_pictures",
    "finding_or_none",
    "imbalance_profile",
    "load_pictures",
    "memory_limit",
    "parse_profile",
    "picture_sets",
    "shapes",
]
