"""Scores with a model built from its config and weights, without an export."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recinfer.data.parser import Tensors
from recinfer.features.base import Feature
from recinfer.predict.device import CPU, Place
from recinfer.predict.scorer import Scorer


class ModelScorer(Scorer):
    """An eager model.

    Args:
        model: with its weights loaded; put into eval mode, and on the device.
        features: those that it reads.
        fingerprint: of the weights.
        data_config: how input is read.
        device: to score on.
    """

    def __init__(
        self,
        model: nn.Module,
        features: Sequence[Feature],
        fingerprint: str,
        data_config: Any,
        device: torch.device = CPU,
    ) -> None:
        self.place = Place(device)
        self._model = model.eval().to(device)
        super().__init__(features, fingerprint, data_config)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk."""
        with torch.inference_mode():
            return self.place.run(tensors, self._model)
