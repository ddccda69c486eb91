"""Backbones of the papers; finding and filling a network's last linear layer. Importing this imports no torch."""

from imblens.models._build import build_model, find_model, make_network, model_descriptions, model_names
from imblens.models._check_head import logits_among, trainable_head
from imblens.models._find_head import evaluating, find_head, set_evaluation
from imblens.models._find_maps import find_maps, rectified_before_pooling
from imblens.models._find_reading import find_reading
from imblens.models._heads import HeadReading, Pool, arranged, tensors_of, two_logits
from imblens.models._load_factory import load_factory
from imblens.models._load_weights import load_pretrained, load_weights

__all__ = [
    "HeadReading",
    "Pool",
    "arranged",
    "build_model",
    "evaluating",
    "find_head",
    "find_maps",
    "find_model",
    "find_reading",
    "load_factory",
    "load_pretrained",
    "load_weights",
    "logits_among",
    "make_network",
    "model_descriptions",
    "model_names",
    "rectified_before_pooling",
    "set_evaluation",
    "tensors_of",
    "trainable_head",
    "two_logits",
]
