"""Images, labels and boxes: folders, Parquet, .npz, built-in and public sets; imbalance profiles."""

from imblens.data._any_label import BINARY, finding_or_none
from imblens.data._boxes import add_boxes
from imblens.data._decode import decode, is_image, resize
from imblens.data._digits import digits
from imblens.data._drop import drop_images
from imblens.data._images import ImageSet, ImageSplit
from imblens.data._load import built_in_sets, image_sets, load_images
from imblens.data._profiles import Profile, draw_profile, imbalance_profile, parse_profile
from imblens.data.drawn._shapes import CAUSES, shapes

load_pictures = load_images  # the earlier name, kept for scripts that use it

__all__ = [
    "BINARY",
    "CAUSES",
    "ImageSet",
    "ImageSplit",
    "Profile",
    "add_boxes",
    "built_in_sets",
    "decode",
    "digits",
    "draw_profile",
    "drop_images",
    "finding_or_none",
    "image_sets",
    "imbalance_profile",
    "is_image",
    "load_images",
    "load_pictures",
    "parse_profile",
    "resize",
    "shapes",
]
