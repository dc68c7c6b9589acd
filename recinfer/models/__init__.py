"""Models: one file per model; :data:`MODELS` maps the config's field names to classes."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.models.base import Model, Task
from recinfer.models.deepfm import DeepFM
from recinfer.models.multi_tower import MultiTower
from recinfer.models.multi_tower_din import MultiTowerDIN
from recinfer.models.wide_and_deep import WideAndDeep

MODELS: dict[str, type[Any]] = {
    "deepfm": DeepFM,
    "multi_tower": MultiTower,
    "multi_tower_din": MultiTowerDIN,
    "wide_and_deep": WideAndDeep,
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
    for field in ("variational_dropout",):
        if config.model_config.HasField(field):
            raise ConfigError(f"`{field}` is not supported: model_config", f"remove `{field}`")
    model: Model = MODELS[name](config, features)
    return model


__all__ = ["MODELS", "Model", "Task", "build_model"]
