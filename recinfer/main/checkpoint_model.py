"""A config with one of its checkpoints, as prediction takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError
from recinfer.main.config import PathLike, load_config

if TYPE_CHECKING:
    import torch

    from recinfer.features.base import Feature
    from recinfer.models import Model
    from recinfer.predict.scorer import Scorer

# Their towers are trained together and used apart: a row of a table has no score.
TWO_TOWERS = ("dssm", "dssm_v2", "dat", "mind", "hstu_match", "tdm")


@dataclass(frozen=True)
class CheckpointModel:
    """A config, and the parameters to score with.

    Attributes:
        config: with the user's overrides.
        checkpoint: a ``model.ckpt-<step>`` folder.
    """

    config: Any
    checkpoint: Path

    def build(self) -> tuple[list[Feature], Model]:
        """The features that the model reads, and the model with new parameters.

        Raises:
            ConfigError: the config does not run here.
            ModelError: the checkpoint is damaged.
        """
        from recinfer.features import build_features
        from recinfer.features.used import used_features
        from recinfer.main.table_rows import checkpoint_table_rows
        from recinfer.models import build_model

        features = build_features(self.config, checkpoint_table_rows(self.checkpoint))
        return used_features(self.config, features), build_model(self.config, features)

    def load_scorer(self, device: torch.device | None = None) -> Scorer:
        """The whole model, in this process.

        Args:
            device: to score on; by default a GPU where there is one.

        Raises:
            ConfigError, ModelError: see :meth:`build`; or the checkpoint is of another model.
        """
        from recinfer.main.fingerprint import fingerprint
        from recinfer.predict.device import default_device
        from recinfer.predict.model_scorer import ModelScorer
        from recinfer.train.checkpoint import load

        features, model = self.build()
        load(model, self.checkpoint)
        place = device or default_device()
        return ModelScorer(model, features, fingerprint(self.checkpoint), self.config.data_config, place)


def find_checkpoint_model(
    pipeline_config: PathLike,
    checkpoint_path: PathLike | None = None,
    *,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
) -> CheckpointModel:
    """A model as its config and a checkpoint describe it; nothing large is read.

    Args:
        checkpoint_path: ``latest`` (default) or ``best`` of the config's ``model_dir``, a checkpoint, or a folder of
            checkpoints.

    Raises:
        ConfigError: the config does not parse, or its model has two towers.
        ModelError: there is no such checkpoint.
    """
    from recinfer.main.model_input import choose_checkpoint

    config = load_config(pipeline_config, overrides, edit_config_json)
    refuse_two_towers(config)
    return CheckpointModel(config, choose_checkpoint(config, checkpoint_path))


def refuse_two_towers(config: Any) -> None:
    """Raises for models whose checkpoint does not score rows.

    Raises:
        ConfigError: says why.
    """
    name = config.model_config.WhichOneof("model")
    if name in TWO_TOWERS:
        raise ConfigError(
            f"model `{name}` cannot predict from a checkpoint: its towers are used apart, one for users and one for "
            "items, and a checkpoint holds both",
            "export it, and predict with the export of each tower (--scripted_model_path)",
        )
