"""Whether a checkpoint's names and shapes are those of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torch.distributed.checkpoint.metadata import Metadata, TensorStorageMetadata

from recinfer.distributed.shards import live_shape
from recinfer.errors import ModelError

SHOWN = 5


def check_fit(index: Metadata, state: Mapping[str, Any], source: str) -> None:
    """Raises ModelError unless the checkpoint holds exactly the names and shapes of ``state``.

    Args:
        index: the checkpoint's index.
        state: name -> tensor of the model.
        source: the checkpoint's path.
    """
    stored = index.state_dict_metadata
    missing = [name for name in state if name not in stored]
    unexpected = [name for name in stored if name not in state]
    wrong = [
        f"{name}: {_shape(stored[name])} in the checkpoint, {live_shape(state[name])} in the model"
        for name in state
        if name in stored and _shape(stored[name]) != live_shape(state[name])
    ]
    if not (missing or unexpected or wrong):
        return
    lines = [f"the checkpoint {source} does not fit the model of the config"]
    lines += _listed("missing in the checkpoint", [_with_nearest(name, unexpected) for name in missing])
    lines += _listed("unknown to the model", unexpected)
    lines += _listed("of another shape", wrong)
    raise ModelError("\n  ".join(lines), "use the pipeline.config that the checkpoint was trained with")


def _shape(stored: Any) -> tuple[int, ...] | None:
    return tuple(stored.size) if isinstance(stored, TensorStorageMetadata) else None


def _with_nearest(name: str, candidates: Sequence[str]) -> str:
    near = get_close_matches(name, candidates, 1, 0.8)
    return f"{name} (nearest: {near[0]})" if near else name


def _listed(title: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = [f"  ... and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{title}, {len(names)}:", *(f"  {name}" for name in names[:SHOWN]), *more]
