"""Takes over checkpoints from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recinfer.errors import UsageError
from recinfer.main.config import PathLike, load_config
from recinfer.main.remote import local_model

if TYPE_CHECKING:
    from recinfer.train.import_report import ImportReport

CONFIG = "pipeline.config"


def import_checkpoint(
    source: PathLike,
    target: PathLike,
    pipeline_config: PathLike,
    *,
    names: Sequence[str] = (),
    drop_unexpected: bool = False,
    cast: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
) -> ImportReport:
    """Converts a checkpoint, whose names may be others, into one of the config's model, held against it first.

    Args:
        source: ``model.ckpt-<step>``, a folder of such (its latest), or a bare ``torch.distributed.checkpoint`` folder.
        target: a model folder, in which ``model.ckpt-<step>`` appears, or the path of that. The config is saved beside
            it, if there is none.
        names: ``old=new`` pairs, ``old.*=new.*`` for all names that begin so, or files of such lines.
        drop_unexpected: leave out what the model does not have.
        cast: change floating-point types to the model's.
        overwrite: replace the checkpoint of that step.

    Raises:
        DoesNotFitError: it is not a checkpoint of that model; its ``report`` has all differences. Nothing is written.
        ModelError: there is no checkpoint, it is damaged, or cut off.
        UsageError: a pair of names fits nothing.
        OutputError: the target is there already, or cannot be written.
    """
    import torch

    from recinfer.config.check import check_config
    from recinfer.config.problems import raise_problems
    from recinfer.config.save import save_pipeline_config
    from recinfer.data.storage.remote_path import is_remote
    from recinfer.features import build_features
    from recinfer.main.table_rows import table_rows
    from recinfer.models import MODELS, build_model
    from recinfer.train.checkpoint import named_state
    from recinfer.train.checkpoint_import import convert, open_source, target_of
    from recinfer.train.import_names import read_pairs, rename

    config = load_config(pipeline_config, overrides, edit_config_json)
    raise_problems(check_config(config, MODELS))
    pairs = read_pairs(names)
    if is_remote(target):
        raise UsageError(f"{target}: imports are written to local folders", "import here, and copy the folder there")
    found = open_source(local_model(source))
    sources = rename(pairs, found.stored)
    shapes = {name: entry[0] for name, old in sources.items() if (entry := found.stored[old])}
    # On the meta device a model has shapes and takes no memory.
    with torch.device("meta"):
        state = named_state(build_model(config, build_features(config, table_rows(shapes))))
    folder = target_of(Path(target), found.position.step)
    report = convert(found, folder, state, pairs, drop_unexpected=drop_unexpected, cast=cast, overwrite=overwrite)
    if not (folder.parent / CONFIG).exists():
        save_pipeline_config(config, folder.parent / CONFIG)
    return report
