"""Optimizer state as one flat dict of tensors, named as the reference names it.

``state.<parameter>.<entry>``, with ``<entry>`` as torch (``exp_avg``) or fbgemm (``<table>.momentum1``) calls it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata
from torchrec.optim.keyed import KeyedOptimizer

from recinfer.errors import ModelError
from recinfer.train.checkpoint_storage import read_index, read_tensors
from recinfer.train.column_state import load_column_state
from recinfer.train.optimizers import DenseOptimizer

logger = logging.getLogger(__name__)
ANOTHER_FOLDER = "train into another model_dir, with this checkpoint as fine_tune_checkpoint"
SHOWN = 5


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


def load_optimizer_state(
    folder: Path,
    dense: Sequence[DenseOptimizer],
    fused: KeyedOptimizer | None,
    elsewhere: Collection[str] = (),
) -> None:
    """Restores what :func:`optimizer_state` gave, on any number of ranks.

    A dense parameter without stored state starts without; one that never had a gradient has none. A table that
    learned by the dense optimizer there (data-parallel in its plan) and by its kernel here, or the other way round,
    starts its state anew, and a warning says so.

    Args:
        folder: of the optimizer state, beside the model's.
        dense, fused: as for :func:`optimizer_state`.
        elsewhere: parameters of which this rank holds nothing.

    Raises:
        ModelError: the checkpoint was written by other optimizers.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder.parent} has no optimizer state to go on with", ANOTHER_FOLDER)
    index = read_index(folder)
    tables = fused_state(fused)
    in_kernels = fused.state_dict()["state"] if fused is not None else {}
    of_dense = {
        name: (optimizer, parameter)
        for optimizer in dense
        for name, parameter in optimizer.parameters.items()
        if name not in elsewhere
    }
    found, moved, left = _sorted_keys(index, of_dense, in_kernels)
    left = [key for key in left if key not in tables and not split_key(key, elsewhere)[0]]
    absent = [
        key for key in tables if key not in index.state_dict_metadata and split_key(key, in_kernels)[0] not in moved
    ]
    if left or absent:
        what = f"lacks {absent[0]}" if absent else f"holds {left[0]}, which no optimizer of the config keeps"
        raise ModelError(f"the optimizer state in {folder} is of other optimizers: it {what}", ANOTHER_FOLDER)
    _warn(folder, moved)
    done = load_column_state(folder, index, tables, {key: split_key(key, in_kernels)[0] for key in tables})
    state = {key: value for key, value in tables.items() if key in index.state_dict_metadata and key not in done}
    state |= {key: _empty(index, key, of_dense[name][1]) for key, (name, _) in found.items()}
    read_tensors(folder, state)
    for key, (name, entry) in found.items():
        optimizer, parameter = of_dense[name]
        value = state[key] if entry == "step" else state[key].to(parameter.device)
        optimizer.optimizer.state[parameter][entry] = value


def _sorted_keys(
    index: Metadata, of_dense: Collection[str], in_kernels: Collection[str]
) -> tuple[dict[str, tuple[str, str]], set[str], list[str]]:
    """Sorts what a checkpoint holds.

    Returns:
        key -> (parameter, entry) of the dense parameters; tables whose state is of the other sort of optimizer than
        what they have here; all other keys.
    """
    found: dict[str, tuple[str, str]] = {}
    moved: set[str] = set()
    left: list[str] = []
    parameters = {*of_dense, *in_kernels}
    for key in index.state_dict_metadata:
        name, entry = split_key(key, parameters)
        if name in of_dense and "." not in entry:
            found[key] = name, entry
        elif (name in in_kernels and "." not in entry) or (name in of_dense and entry.startswith(f"{table_of(name)}.")):
            moved.add(name)
        else:
            left.append(key)
    return found, moved, left


def _warn(folder: Path, moved: Collection[str]) -> None:
    names = [table_of(name) for name in sorted(moved)]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    if names:
        shown = ", ".join(names[:SHOWN])
        logger.warning("tables learn otherwise in the plan of %s, and start without state: %s%s", folder, shown, more)


def split_key(key: str, parameters: Collection[str]) -> tuple[str, str]:
    """The parameter and the entry that an optimizer's key names; two empty strings where it is none of those."""
    rest = key.removeprefix("state.")
    name = rest.rpartition(".")[0]
    while name and name not in parameters:
        name = name.rpartition(".")[0]
    return (name, rest[len(name) + 1 :]) if name and rest != key else ("", "")


def table_of(parameter: str) -> str:
    """The table's name in the name of its weight."""
    return parameter.removesuffix(".weight").rpartition(".")[2]


def _empty(index: Metadata, key: str, parameter: nn.Parameter) -> torch.Tensor:
    """Room for an entry, which is a number or has its parameter's shape."""
    stored = index.state_dict_metadata[key]
    if not isinstance(stored, TensorStorageMetadata) or tuple(stored.size) not in ((), tuple(parameter.shape)):
        what = f"of shape {tuple(stored.size)}" if isinstance(stored, TensorStorageMetadata) else "not a tensor"
        raise ModelError(f"the optimizer state {key!r} is {what}, not of its parameter's {tuple(parameter.shape)}")
    return torch.empty(stored.size, dtype=stored.properties.dtype)
