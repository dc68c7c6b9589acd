"""Scores with an export folder: ours, or one of the reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

import torch

from recinfer.config.load import load_pipeline_config
from recinfer.data.parser import Tensors
from recinfer.errors import ModelError
from recinfer.features import build_features
from recinfer.features.assets import with_assets_in
from recinfer.features.base import Feature
from recinfer.features.side import user_side_names
from recinfer.features.used import used_features
from recinfer.predict.device import CPU, Place
from recinfer.predict.length_check import LengthCheck
from recinfer.predict.operators import load_operators
from recinfer.predict.scorer import Scorer
from recinfer.predict.users import user_rows_of

SCRIPTED = "scripted_model.pt"
CONFIG = "pipeline.config"


class ExportedModel(Scorer):
    """A model of an export folder, of any kind.

    Args:
        folder: holds ``pipeline.config`` and what the kind needs.
        fingerprint: of the export.
        device: that it was made for; of a GPU, which one.

    Raises:
        ModelError: the folder is no export, or its model does not load.
    """

    def __init__(self, folder: Path, fingerprint: str, device: torch.device = CPU) -> None:
        self.folder = folder
        self.place = Place(device)
        config = with_assets_in(load_pipeline_config(require(folder, CONFIG)), folder)
        self._open(folder)
        features = used_features(config, build_features(config))
        self._check_table_sizes(features)
        self.lengths = LengthCheck(features)
        self.user_rows = user_rows_of(folder, lambda: user_side_names(features))
        super().__init__(features, fingerprint, config.data_config)

    def _check_table_sizes(self, features: list[Feature]) -> None:
        """Refuses to start where a table's size is unknown: an id outside it could not be told from a good one."""
        unknown = [feature.name for feature in features if feature.is_sparse and not feature.has_known_size]
        if unknown:
            raise ModelError(
                f"{self.folder}: the table sizes of {', '.join(unknown)} are not known, so ids cannot be checked",
                "put the vocabulary files that pipeline.config names where it says",
            )

    def per_user(self, tensors: Tensors, call: Callable[[Tensors], Tensors]) -> Tensors:
        """Calls the model with a chunk as it takes it: user-side features once per user, if it was exported so."""
        return call(tensors) if self.user_rows is None else self.user_rows.run(tensors, call)

    @abstractmethod
    def _open(self, folder: Path) -> None:
        """Loads what the kind runs."""


class ExportScorer(ExportedModel):
    """A scripted model: ``scripted_model.pt`` of an export folder."""

    def _open(self, folder: Path) -> None:
        self._model = load_scripted(require(folder, SCRIPTED), self.place.device)

    def run(self, tensors: Tensors) -> Tensors:
        """Scores one chunk; TorchScript releases the GIL, so threads run side by side."""
        self.lengths.refuse_misfits(tensors)
        return self.per_user(tensors, self._score)

    def _score(self, tensors: Tensors) -> Tensors:
        return self.place.run(tensors, lambda given: dict(self._model(given, self.place.device)))


def load_scripted(path: Path, device: torch.device = CPU) -> torch.jit.ScriptModule:
    """Loads a scripted model for inference.

    Raises:
        ModelError: the file is no TorchScript archive, or calls operators that are not here.
    """
    load_operators()
    try:
        # Grad mode is noted when a module is first profiled: it must be off from the first call on.
        with torch.inference_mode():
            model = torch.jit.load(str(path), map_location=device)
            model.eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(f"{path} does not load: {str(error).splitlines()[0]}", "export the model again") from error
    return model


def require(folder: Path, name: str) -> Path:
    """A file that an export must have.

    Raises:
        ModelError: it does not.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder", "give the folder that recinfer-export wrote")
    if not (folder / name).is_file():
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise ModelError(f"{folder} is no complete export: {name} is missing", f"it holds {held}")
    return folder / name
