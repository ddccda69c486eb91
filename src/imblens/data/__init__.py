"""Images, labels and boxes: folders, Parquet, .npz, built-in and public sets; imbalance profiles."""

from imblens.data._any_label import BINARY as BINARY
from imblens.data._any_label import finding_or_none as finding_or_none
from imblens.data._boxes import add_boxes as add_boxes
from imblens.data._decode import decode as decode
from imblens.data._decode import is_image as is_image
from imblens.data._decode import resize as resize
from imblens.data._digits import digits as digits
from imblens.data._drop import drop_images as drop_images
from imblens.data._images import ImageSet as ImageSet
from imblens.data._images import ImageSplit as ImageSplit
from imblens.data._load import UNMIRRORED as UNMIRRORED
from imblens.data._load import built_in_sets as built_in_sets
from imblens.data._load import image_sets as image_sets
from imblens.data._load import load_images as load_images
from imblens.data._mirrored import MIRRORED as MIRRORED
from imblens.data._mirrored import unmirrored as unmirrored
from imblens.data._profiles import Profile as Profile
from imblens.data._profiles import draw_profile as draw_profile
from imblens.data._profiles import imbalance_profile as imbalance_profile
from imblens.data._profiles import parse_profile as parse_profile
from imblens.data._several import one_ahead as one_ahead
from imblens.data.drawn._shapes import CAUSES as CAUSES
from imblens.data.drawn._shapes import shapes as shapes
