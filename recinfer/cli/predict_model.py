"""Which model ``recinfer predict`` scores with: an export, or a config with a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from recinfer.cli.options import config_edits

if TYPE_CHECKING:
    from recinfer.main.checkpoint_model import CheckpointModel
    from recinfer.predict.scorer import Scorer

Body = TypeVar("Body", bound=Callable[..., Any])

WITH_CONFIG = ("checkpoint_path", "overrides", "edit_config_json")
WITH_EXPORT = ("fallback", "public_key")


def chosen_model(body: Body) -> Body:
    """``--scripted_model_path``, or ``--pipeline_config_path`` with ``--checkpoint_path`` and edits."""
    body = click.option(
        "--checkpoint_path",
        metavar="PATH",
        help="With --pipeline_config: latest (default) or best of the config's model_dir, a checkpoint, or a folder of "
        "checkpoints.",
    )(config_edits(body))
    body = click.option(
        "--pipeline_config_path",
        "--pipeline_config",
        "pipeline_config",
        metavar="FILE",
        help="Score with a checkpoint of this config; under torchrun each process holds a part of the tables.",
    )(body)
    return click.option(
        "--scripted_model_path",
        metavar="FOLDER",
        help="Score with an export, or with a checkpoint that has its pipeline.config in it or beside it.",
    )(body)


@dataclass(frozen=True)
class ChosenModel:
    """What a user named; one of the two paths is None.

    Attributes:
        export: ``--scripted_model_path``.
        pipeline_config: ``--pipeline_config_path``.
        settings: the command's other options.
    """

    export: str | None
    pipeline_config: str | None
    settings: dict[str, Any]

    def check(self) -> None:
        """Refuses what is missing or contradicts itself.

        Raises:
            click.UsageError: says which flags.
        """
        if (self.export is None) == (self.pipeline_config is None):
            raise click.UsageError("Give one of --scripted_model_path and --pipeline_config.")
        wrong, needed = (
            (WITH_CONFIG, "--pipeline_config") if self.export is not None else (WITH_EXPORT, "--scripted_model_path")
        )
        for name in wrong:
            if self.settings[name]:
                flag = "-o" if name == "overrides" else f"--{name}"
                raise click.UsageError(f"{flag} goes with {needed}.")

    @property
    def is_sharded(self) -> bool:
        """Whether many processes hold a part of the model each."""
        return self.pipeline_config is not None

    def find(self) -> CheckpointModel:
        """The config and its checkpoint."""
        from recinfer.main.checkpoint_model import find_checkpoint_model

        assert self.pipeline_config is not None
        return find_checkpoint_model(
            self.pipeline_config,
            self.settings["checkpoint_path"],
            overrides=self.settings["overrides"],
            edit_config_json=self.settings["edit_config_json"],
        )

    def load(self) -> Scorer:
        """The whole model, in this process."""
        from recinfer.main import load_scorer

        device = self.settings["device"]
        if self.export is None:
            from recinfer.predict.device import device_of

            return self.find().load_scorer(None if device is None else device_of(device))
        return load_scorer(
            self.export, fallback=self.settings["fallback"], public_key=self.settings["public_key"], device=device
        )
