"""Models: one file per model; :data:`MODELS` maps the config's field names to classes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Model, Task
from recinfer.models.dbmtl import DBMTL
from recinfer.models.dc2vr import DC2VR
from recinfer.models.dcn_v1 import DCNV1
from recinfer.models.dcn_v2 import DCNV2
from recinfer.models.deepfm import DeepFM
from recinfer.models.dlrm import DLRM
from recinfer.models.masknet import MaskNet
from recinfer.models.mmoe import MMoE
from recinfer.models.multi_tower import MultiTower
from recinfer.models.multi_tower_din import MultiTowerDIN
from recinfer.models.pepnet import PEPNet
from recinfer.models.ple import PLE
from recinfer.models.rocket_launching import RocketLaunching
from recinfer.models.simple_multi_task import SimpleMultiTask
from recinfer.models.wide_and_deep import WideAndDeep
from recinfer.models.wukong import WuKong
from recinfer.models.xdeepfm import XDeepFM

MODELS: dict[str, type[Any]] = {
    "dbmtl": DBMTL,
    "dc2vr": DC2VR,
    "dcn_v1": DCNV1,
    "dcn_v2": DCNV2,
    "deepfm": DeepFM,
    "dlrm": DLRM,
    "mask_net": MaskNet,
    "mmoe": MMoE,
    "multi_tower": MultiTower,
    "multi_tower_din": MultiTowerDIN,
    "pepnet": PEPNet,
    "ple": PLE,
    "rocket_launching": RocketLaunching,
    "simple_multi_task": SimpleMultiTask,
    "wide_and_deep": WideAndDeep,
    "wukong": WuKong,
    "xdeepfm": XDeepFM,
}


def build_model(config: Any, features: Sequence[Feature]) -> Model:
    """The model of a pipeline config, with new parameters.

    Raises:
        ConfigError: no model is set, it does not run here, or its groups do not fit it.
    """
    name = config.model_config.WhichOneof("model")
    if name is None:
        raise ConfigError("model_config names no model", f"add one of {', '.join(MODELS)}")
    if name not in MODELS:
        near = get_close_matches(name, MODELS, 1)
        raise ConfigError(f"model `{name}` is not supported", f"use {near[0] if near else ' or '.join(MODELS)}")
    model: Model = MODELS[name](config, features)
    return model


__all__ = ["MODELS", "Model", "Task", "build_model"]
