"""Backbones of the papers; finding and filling a network's last linear layer. Importing this imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imblens.base.lazy import lazy
from imblens.models._build import build_model as build_model
from imblens.models._build import find_model as find_model
from imblens.models._build import make_network as make_network
from imblens.models._build import model_descriptions as model_descriptions
from imblens.models._build import model_names as model_names
from imblens.models._load_factory import load_factory as load_factory

if TYPE_CHECKING:
    from imblens.models._check_head import logits_among as logits_among
    from imblens.models._check_head import trainable_head as trainable_head
    from imblens.models._find_head import evaluating as evaluating
    from imblens.models._find_head import find_head as find_head
    from imblens.models._find_head import set_evaluation as set_evaluation
    from imblens.models._find_maps import find_maps as find_maps
    from imblens.models._find_maps import rectified_before_pooling as rectified_before_pooling
    from imblens.models._find_reading import find_reading as find_reading
    from imblens.models._heads import HeadReading as HeadReading
    from imblens.models._heads import Pool as Pool
    from imblens.models._heads import arranged as arranged
    from imblens.models._heads import tensors_of as tensors_of
    from imblens.models._heads import two_logits as two_logits
    from imblens.models._load_weights import load_pretrained as load_pretrained
    from imblens.models._load_weights import load_weights as load_weights
    from imblens.models._load_weights import save_weights as save_weights
    from imblens.models._load_weights import weights_digest as weights_digest

__getattr__ = lazy(
    __name__,
    {
        "._check_head": ("logits_among", "trainable_head"),
        "._find_head": ("evaluating", "find_head", "set_evaluation"),
        "._find_maps": ("find_maps", "rectified_before_pooling"),
        "._find_reading": ("find_reading",),
        "._heads": ("HeadReading", "Pool", "arranged", "tensors_of", "two_logits"),
        "._load_weights": ("load_pretrained", "load_weights", "save_weights", "weights_digest"),
    },
)
