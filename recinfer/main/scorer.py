"""Finds out what a path holds, and makes a scorer of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError, ModelError
from recinfer.main.config import PathLike, load_config

if TYPE_CHECKING:
    import torch

    from recinfer.predict.scorer import Scorer

CONFIG = "pipeline.config"
SCRIPTED = "scripted_model.pt"


def load_scorer(path: PathLike, weights: PathLike | None = None) -> Scorer:
    """A model as one callable: ``scorer.score(table) -> table``.

    Args:
        path: an export folder; a checkpoint folder (``model.ckpt-<step>`` or the folder that holds them) beside its
            ``pipeline.config``; or a ``pipeline.config`` with ``weights``.
        weights: a ``.safetensors`` file or a checkpoint folder.

    Raises:
        ModelError: something is missing, or weights and config do not fit.
        ConfigError: the config does not run here.
    """
    given = Path(path)
    if weights is not None:
        return _from_weights(given / CONFIG if given.is_dir() else given, Path(weights))
    if given.is_file():
        raise ModelError(f"{given} is a config without weights", "give the weights too, or an export folder")
    if not given.is_dir():
        raise ModelError(f"{given} does not exist", "give an export folder, or a checkpoint folder")
    if (given / SCRIPTED).is_file():
        return _from_export(given)
    for folder in (given, given.parent):
        if (folder / CONFIG).is_file():
            return _from_weights(folder / CONFIG, given)
    held = ", ".join(sorted(each.name for each in given.iterdir())[:10]) or "nothing"
    raise ModelError(
        f"{given} is neither an export nor a checkpoint: it holds {held}",
        f"an export has {SCRIPTED}; a checkpoint has {CONFIG} in it or beside it",
    )


def _from_export(folder: Path) -> Scorer:
    from recinfer.main.fingerprint import fingerprint
    from recinfer.predict.export_scorer import ExportScorer
    from recinfer.predict.manifest_check import check_files

    verified = check_files(folder)
    return ExportScorer(folder, verified.get(SCRIPTED) or fingerprint(folder / SCRIPTED))


def _from_weights(config_path: Path, weights: Path) -> Scorer:
    from recinfer.features import build_features
    from recinfer.features.used import used_features
    from recinfer.main.fingerprint import fingerprint
    from recinfer.models import build_model
    from recinfer.predict.model_scorer import ModelScorer

    if not config_path.is_file():
        raise ConfigError(f"{config_path} does not exist", "give the pipeline.config of the weights")
    config = load_config(config_path)
    tensors = _read_safetensors(weights) if weights.is_file() else None
    features = build_features(config, _table_rows(tensors, weights))
    model = build_model(config, features)
    if tensors is not None:
        _fill(model, tensors, weights)
    else:
        from recinfer.train.checkpoint import find_checkpoint, load

        weights = find_checkpoint(weights)
        load(model, weights)
    return ModelScorer(model, used_features(config, features), fingerprint(weights), config.data_config)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is no safetensors file: {error}", "give a .safetensors file or a checkpoint"
        ) from error


def _table_rows(tensors: dict[str, torch.Tensor] | None, weights: Path) -> dict[str, int]:
    """Rows of each embedding table, by name, so that a vocabulary file that is not here is not needed for its size."""
    if tensors is not None:
        shapes: dict[str, Any] = {name: tensor.shape for name, tensor in tensors.items()}
    else:
        from recinfer.train.checkpoint import find_checkpoint
        from recinfer.train.checkpoint_storage import read_index

        index = read_index(find_checkpoint(weights) / "model").state_dict_metadata
        shapes = {name: entry.size for name, entry in index.items() if hasattr(entry, "size")}
    marks = (".embedding_bags.", ".embeddings.")
    return {
        name.split(".")[-2]: int(shape[0])
        for name, shape in shapes.items()
        if name.endswith(".weight") and any(mark in name for mark in marks)
    }


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
