"""Optimizer state as one flat dict of tensors, named as the reference names it.

``state.<parameter>.<entry>``, with ``<entry>`` as torch (``exp_avg``) or fbgemm (``<table>.momentum1``) calls it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torchrec.optim.keyed import KeyedOptimizer

from recinfer.errors import ModelError
from recinfer.train.checkpoint_storage import read_index, read_tensors
from recinfer.train.optimizers import DenseOptimizer


def optimizer_state(dense: Sequence[DenseOptimizer], fused: KeyedOptimizer | None) -> dict[str, Any]:
    """The state of all optimizers; empty for those that keep none."""
    return fused_state(fused) | {
        f"state.{name}.{entry}": value
        for optimizer in dense
        for name, parameter in optimizer.parameters.items()
        for entry, value in optimizer.optimizer.state.get(parameter, {}).items()
        if isinstance(value, torch.Tensor)
    }


def fused_state(fused: KeyedOptimizer | None) -> dict[str, Any]:
    """The state of the embedding tables, as views of the memory that the kernels use."""
    if fused is None:
        return {}
    return {
        f"state.{name}.{entry}": value
        for name, entries in fused.state_dict()["state"].items()
        for entry, value in entries.items()
    }


def load_optimizer_state(folder: Path, dense: Sequence[DenseOptimizer], fused: KeyedOptimizer | None) -> None:
    """Restores what :func:`optimizer_state` gave.

    A dense parameter without stored state starts without; one that never had a gradient has none.

    Raises:
        ModelError: the checkpoint was written by other optimizers.
    """
    index = read_index(folder)
    tables = fused_state(fused)
    found: dict[str, tuple[DenseOptimizer, nn.Parameter, str]] = {}
    for optimizer in dense:
        for name, parameter in optimizer.parameters.items():
            for key in _entries(index, name):
                found[key] = (optimizer, parameter, key.removeprefix(f"state.{name}."))
    left = [key for key in index.state_dict_metadata if key not in tables and key not in found]
    absent = [key for key in tables if key not in index.state_dict_metadata]
    if left or absent:
        what = f"lacks {absent[0]}" if absent else f"holds {left[0]}, which no optimizer of the config keeps"
        raise ModelError(
            f"the optimizer state in {folder} is of other optimizers: it {what}",
            "train into another model_dir, with this checkpoint as fine_tune_checkpoint",
        )
    state: dict[str, Any] = dict(tables) | {key: _empty(index, key) for key in found}
    read_tensors(folder, state)
    for key, (optimizer, parameter, entry) in found.items():
        value = state[key] if entry == "step" else state[key].to(parameter.device)
        optimizer.optimizer.state[parameter][entry] = value


def _entries(index: Metadata, parameter: str) -> list[str]:
    prefix = f"state.{parameter}."
    return [key for key in index.state_dict_metadata if key.startswith(prefix) and "." not in key[len(prefix) :]]


def _empty(index: Metadata, key: str) -> torch.Tensor:
    stored = index.state_dict_metadata[key]
    if not isinstance(stored, TensorStorageMetadata):
        raise ModelError(f"the optimizer state {key!r} is not a tensor")
    return torch.empty(stored.size, dtype=stored.properties.dtype)
