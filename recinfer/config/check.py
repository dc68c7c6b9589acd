"""Checks a config: everything that can be said from the config alone, in one go."""

from __future__ import annotations

from collections.abc import Collection

from recinfer.config.problems import Problem
from recinfer.config.rules import RULES
from recinfer.config.view import ConfigView
from recinfer.protos.pipeline_pb2 import EasyRecConfig


def check_config(config: EasyRecConfig, supported_models: Collection[str] | None = None) -> list[Problem]:
    """Everything that is wrong with a config, most basic first; empty where nothing is.

    Args:
        config: the config as loaded and overridden.
        supported_models: names of the models that can be built, as the config names them (``deepfm``) or as their
            messages are called (``DeepFM``); None accepts every model.
    """
    view = ConfigView(config, supported_models)
    return [problem for rule in RULES for problem in rule(view)]
