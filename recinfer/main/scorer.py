"""Finds out what a path holds, and makes a scorer of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError, ModelError, SignatureMissingError
from recinfer.main.config import PathLike, load_config
from recinfer.main.remote import local_model
from recinfer.main.table_rows import table_rows

if TYPE_CHECKING:
    import torch

    from recinfer.predict.scorer import Scorer

CONFIG = "pipeline.config"
SCRIPTED = "scripted_model.pt"


def load_scorer(
    path: PathLike,
    weights: PathLike | None = None,
    *,
    fallback: str | None = None,
    public_key: PathLike | None = None,
    device: str | None = None,
) -> Scorer:
    """A model as one callable: ``scorer.score(table) -> table``.

    Args:
        path: an export folder; a checkpoint folder (``model.ckpt-<step>`` or the folder that holds them) beside its
            ``pipeline.config``; or a ``pipeline.config`` with ``weights``. In an object store, a URI.
        weights: a ``.safetensors`` file or a checkpoint folder.
        fallback: what to score with where an export's compiled part does not run here: ``jit`` (its scripted model) or
            ``eager`` (its parameters), if it carries them.
        public_key: a PEM file; the path must then be an export that was signed with its pair (``recinfer sign``).
        device: ``cpu``, ``cuda`` or ``cuda:n``; by default what an export was made for, and for a checkpoint a GPU
            where there is one.

    Raises:
        ModelError: something is missing, weights and config do not fit, a signature that is asked for is not right, or
            the device is not here.
        UsageError: there is no such device.
        ConfigError: the config does not run here.
    """
    from recinfer.predict.device import device_of
    from recinfer.predict.open_export import is_export

    given, place = local_model(path), None if device is None else device_of(device)
    if public_key is not None and (weights is not None or not is_export(given)):
        raise SignatureMissingError(f"{given} is not signed: only exports are", "export the model, and sign the export")
    if weights is not None:
        return _from_weights(given / CONFIG if given.is_dir() else given, local_model(weights), place)
    if given.is_file():
        raise ModelError(f"{given} is a config without weights", "give the weights too, or an export folder")
    if not given.is_dir():
        raise ModelError(f"{given} does not exist", "give an export folder, or a checkpoint folder")
    if is_export(given):
        return _from_export(given, fallback, public_key, place)
    for folder in (given, given.parent):
        if (folder / CONFIG).is_file():
            return _from_weights(folder / CONFIG, given, place)
    held = ", ".join(sorted(each.name for each in given.iterdir())[:10]) or "nothing"
    raise ModelError(
        f"{given} is neither an export nor a checkpoint: it holds {held}",
        f"an export has {SCRIPTED}; a checkpoint has {CONFIG} in it or beside it",
    )


def _from_export(
    folder: Path, fallback: str | None, public_key: PathLike | None, device: torch.device | None
) -> Scorer:
    from recinfer.main.fingerprint import fingerprint
    from recinfer.predict.open_export import open_export

    key = None if public_key is None else Path(public_key)
    eager = partial(_from_weights, device=device)
    return open_export(folder, fingerprint, fallback=fallback, eager=eager, public_key=key, device=device)


def _from_weights(config_path: Path, weights: Path, device: torch.device | None) -> Scorer:
    from recinfer.main.checkpoint_model import CheckpointModel, refuse_two_towers

    if not config_path.is_file():
        raise ConfigError(f"{config_path} does not exist", "give the pipeline.config of the weights")
    config = load_config(config_path)
    refuse_two_towers(config)
    if weights.suffix == ".safetensors" and not weights.exists():
        raise ModelError(f"{weights} does not exist", "check the path")
    if weights.is_file():
        return _from_safetensors(config, weights, device)
    from recinfer.train.checkpoint import find_checkpoint

    return CheckpointModel(config, find_checkpoint(weights)).load_scorer(device)


def _from_safetensors(config: Any, weights: Path, device: torch.device | None) -> Scorer:
    from recinfer.features import build_features
    from recinfer.features.used import used_features
    from recinfer.main.fingerprint import fingerprint
    from recinfer.models import build_model
    from recinfer.predict.device import default_device
    from recinfer.predict.model_scorer import ModelScorer

    tensors = _read_safetensors(weights)
    features = build_features(config, table_rows({name: tensor.shape for name, tensor in tensors.items()}))
    model = build_model(config, features)
    _fill(model, tensors, weights)
    read, place = used_features(config, features), device or default_device()
    return ModelScorer(model, read, fingerprint(weights), config.data_config, place)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is no safetensors file: {error}", "give a .safetensors file or a checkpoint"
        ) from error


def _fill(model: torch.nn.Module, tensors: dict[str, torch.Tensor], source: Path) -> None:
    """Loads a state dict strictly.

    Raises:
        ModelError: names or shapes are not the model's; lists the first of each.
    """
    state = model.state_dict()
    missing, unexpected = sorted(state.keys() - tensors.keys()), sorted(tensors.keys() - state.keys())
    shapes = [
        f"{name}: {tuple(tensors[name].shape)} where the model has {tuple(state[name].shape)}"
        for name in sorted(state.keys() & tensors.keys())
        if state[name].shape != tensors[name].shape
    ]
    lines = [
        f"{what}: {', '.join(names[:5])}" + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for what, names in (("missing", missing), ("unexpected", unexpected), ("other shapes", shapes))
        if names
    ]
    if lines:
        raise ModelError(f"{source} does not fit the config: " + "; ".join(lines), "give the config it was made with")
    model.load_state_dict(tensors)
