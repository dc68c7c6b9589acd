"""Starts a model from what a checkpoint of another one has in common with it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from recinfer.config.nearest import name_hint
from recinfer.errors import ModelError
from recinfer.nn.managed_collision import settle
from recinfer.train.checkpoint import named_state
from recinfer.train.checkpoint_fit import check_fit
from recinfer.train.checkpoint_folders import find_checkpoint
from recinfer.train.checkpoint_storage import read_index, read_tensors

logger = logging.getLogger(__name__)
SHOWN = 5


def warm_start(model: nn.Module, checkpoint: str | Path, names: Mapping[str, str]) -> Path:
    """Loads the parameters and buffers that a checkpoint has; others keep what they are, and a warning lists them.

    Args:
        model: a plain model (its names follow ``model.`` in the checkpoint), or a module with those names.
        checkpoint: ``model.ckpt-<step>``, or a model folder (its latest checkpoint).
        names: name in the model -> name in the checkpoint, where they differ, as
            :mod:`recinfer.train.warm_start_names` reads them.

    Returns:
        The checkpoint that was used.

    Raises:
        ModelError: there is none, it is damaged, it has nothing of the model or something in another shape, or
            ``names`` names what is not there.
    """
    folder = find_checkpoint(checkpoint)
    index = read_index(folder / "model")
    state, stored = named_state(model), index.state_dict_metadata
    for ours, theirs in names.items():
        if ours not in state or theirs not in stored:
            name, place = (ours, "model") if ours not in state else (theirs, f"checkpoint {folder}")
            hint = name_hint(name, list(state if ours not in state else stored), "names")
            raise ModelError(f"fine_tune_ckpt_param_map names {name!r}, which is not in the {place}", hint)
    sources = {name: names.get(name, name) for name in state if names.get(name, name) in stored}
    if not sources:
        raise ModelError(f"the checkpoint {folder} has nothing of the model", "map names by fine_tune_ckpt_param_map")
    shared = replace(index, state_dict_metadata={name: stored[source] for name, source in sources.items()})
    check_fit(shared, {name: state[name] for name in sources}, str(folder))
    while sources:
        # One name of the checkpoint may serve several of the model, one pass each.
        once = {source: name for name, source in sources.items()}
        read_tensors(folder / "model", {source: state[name] for source, name in once.items()})
        for name in once.values():
            del sources[name]
    settle(model)
    _warn(folder, [name for name in state if names.get(name, name) not in stored])
    return folder


def _warn(folder: Path, absent: list[str]) -> None:
    if absent:
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        logger.warning("new, since %s does not have them: %s%s", folder, ", ".join(absent[:SHOWN]), more)
