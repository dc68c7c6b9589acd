"""Checkpoints: ``model.ckpt-<step>`` with model, optimizer, sharding plan and position, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn
from torch.distributed.checkpoint.metadata import Metadata
from torchrec.optim.keyed import KeyedOptimizer

from recinfer.data.files import sync_folder
from recinfer.distributed.shards import local_parts
from recinfer.distributed.team import Team
from recinfer.errors import ModelError, OutputError
from recinfer.nn.managed_collision import settle
from recinfer.train.checkpoint_fit import check_fit
from recinfer.train.checkpoint_folders import best, checkpoints, delete_old, find_checkpoint, latest, newest, step_of
from recinfer.train.checkpoint_parts import META, PARTS, PLAN, discard, parts_of, read_meta, tensors_flaw
from recinfer.train.checkpoint_storage import read_index, read_tensors, write_tensors
from recinfer.train.collision_history import load_history, save_history
from recinfer.train.moving_average import UPDATES, MovingAverage
from recinfer.train.optimizer_state import load_optimizer_state, optimizer_state
from recinfer.train.optimizers import DenseOptimizer

PREFIX = "model."


@dataclass(frozen=True)
class Position:
    """Where training stands.

    Attributes:
        step: updates done.
        epoch: passes over the data done.
        batch: batches of the running pass done.
        config_fingerprint: of the config that it was trained with, "" where unknown.
        seed: of shuffling and dropout.
        grad_scaler: state of the gradient scaler, if there is one.
        ranks: that shared the running pass.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    config_fingerprint: str = ""
    seed: int = 0
    grad_scaler: dict[str, Any] | None = None
    ranks: int = 1

    def on(self, ranks: int) -> Position:
        """Where other ranks go on, with batches of the same size: after as many rows of the pass, to a batch."""
        return replace(self, batch=self.batch * self.ranks // ranks, ranks=ranks)


@dataclass(frozen=True)
class TrainState:
    """Everything that a checkpoint keeps.

    Attributes:
        module: its ``state_dict()`` names start with ``model.``; plain or sharded.
        dense: optimizers of the dense parameters.
        fused: optimizer of the embedding tables.
        plan: JSON of the sharding plan.
        averages: moving averages of the dense parameters, if they are kept.
        team: the ranks that hold the module together; None for one.
    """

    module: nn.Module
    dense: Sequence[DenseOptimizer] = ()
    fused: KeyedOptimizer | None = None
    plan: str = "{}"
    averages: MovingAverage | None = None
    team: Team | None = None


def save(state: TrainState, position: Position, model_dir: str | Path) -> Path:
    """Writes ``model_dir/model.ckpt-<step>``: under another name first, flushed, then renamed.

    All ranks of a team call this, and each writes what it holds into the same folder.

    Raises:
        OutputError: it cannot be written, or not all ranks see the folder.
    """
    target = Path(model_dir) / f"model.ckpt-{position.step}"
    team = state.team
    leads = team is None or team.leads
    number = os.getpid() if team is None else team.tell(os.getpid())
    draft = target.with_name(f".{target.name}.{number}")
    try:
        if leads:
            discard(draft)
            draft.mkdir(parents=True)
        if team is not None:
            team.wait()
        write_tensors(draft / "model", state.module.state_dict(), team)
        write_tensors(draft / "optimizer", optimizer_state(state.dense, state.fused), team)
        if leads:
            # Ranks have seen the ids of all.
            save_history(state.module, draft / "zch")
        if state.averages is not None:
            write_tensors(draft / "ema", state.averages.state_dict(), team)
        if team is not None:
            team.wait()
        if leads:
            _write(draft / "plan", state.plan)
            publish(draft, target, position)
        if team is not None:
            team.wait()
    except OSError as error:
        raise OutputError(f"the checkpoint {target} cannot be written: {error}", "choose another model_dir") from error
    finally:
        if leads:
            discard(draft)
    return target


def publish(draft: Path, target: Path, position: Position) -> None:
    """Gives a finished checkpoint the list of its parts and its name, which it has from then on after any crash."""
    content = asdict(position) | {PARTS: parts_of(draft)}
    for name in (name for name in parts_of(draft) if name != PLAN):
        reason = tensors_flaw(draft / name)
        if reason is not None:
            raise OutputError(
                f"the checkpoint {target} cannot be completed: {reason}", "give all ranks a model_dir that each reaches"
            )
    _write(draft / META, json.dumps(content, indent=2) + "\n")
    sync_folder(draft)
    discard(target)
    draft.rename(target)
    sync_folder(target.parent)


def load(model: nn.Module, checkpoint: str | Path, *, use_ema: bool = False) -> Path:
    """Loads parameters and buffers into a model in place.

    Args:
        model: a plain model (its names follow ``model.`` in the checkpoint), or a module with those names.
        checkpoint: ``model.ckpt-<step>``, or a model folder (its latest checkpoint).
        use_ema: take the moving averages of the dense parameters instead of their last values.

    Returns:
        The checkpoint that was loaded.

    Raises:
        ModelError: there is none, it is damaged, or its names or shapes are not the model's.
    """
    folder = find_checkpoint(checkpoint)
    state = named_state(model)
    check_fit(read_index(folder / "model"), state, str(folder))
    read_tensors(folder / "model", state)
    settle(model)
    if use_ema:
        _load_averages(folder, state)
    return folder


def load_training(state: TrainState, checkpoint: Path) -> Position:
    """Restores model and optimizers, to go on where the checkpoint was written.

    Raises:
        ModelError: as :func:`load`, or the optimizers are others.
    """
    load(state.module, checkpoint)
    elsewhere = {name for name, value in state.module.state_dict().items() if not local_parts(value)}
    load_optimizer_state(checkpoint / "optimizer", state.dense, state.fused, elsewhere)
    load_history(state.module, checkpoint / "zch")
    if state.averages is not None:
        _resume_averages(checkpoint / "ema", state.averages)
    return read_position(checkpoint)


def read_position(checkpoint: Path) -> Position:
    """Where training stood; checkpoints of others only tell the step, in their name."""
    meta = read_meta(checkpoint)
    if not meta:
        return Position(step_of(checkpoint))
    try:
        return Position(**{name: value for name, value in meta.items() if name != PARTS})
    except TypeError as error:
        raise ModelError(f"{checkpoint / META} is damaged: {error}", "use an earlier checkpoint") from error


def named_state(model: nn.Module) -> dict[str, Any]:
    """Parameters and buffers under the names that checkpoints give them, which start with ``model.``."""
    state = model.state_dict()
    if all(name.startswith(PREFIX) for name in state):
        return state
    return {PREFIX + name: tensor for name, tensor in state.items()}


def _load_averages(folder: Path, state: dict[str, Any]) -> None:
    if not (folder / "ema").is_dir():
        raise ModelError(
            f"the checkpoint {folder} has no moving averages",
            "train with dense_optimizer.ema, or leave use_dense_ema out",
        )
    index = read_index(folder / "ema")
    known = {name: state[name] for name in index.state_dict_metadata if name in state}
    # How many updates the averages hold matters to training only.
    check_fit(_without(index, UPDATES), known, str(folder / "ema"))
    read_tensors(folder / "ema", known)


def _resume_averages(folder: Path, averages: MovingAverage) -> None:
    if not folder.is_dir():
        averages.restart()
        return
    state = averages.state_dict()
    if UPDATES not in read_index(folder).state_dict_metadata:
        # Written before updates were counted: there was at least one.
        state.pop(UPDATES).fill_(1)
    read_tensors(folder, state)


def _without(index: Metadata, name: str) -> Metadata:
    left = {key: value for key, value in index.state_dict_metadata.items() if key != name}
    return replace(index, state_dict_metadata=left)


def _write(path: Path, text: str) -> None:
    with path.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


__all__ = [
    "Position",
    "TrainState",
    "best",
    "checkpoints",
    "delete_old",
    "find_checkpoint",
    "latest",
    "load",
    "load_training",
    "newest",
    "publish",
    "read_position",
    "save",
]
