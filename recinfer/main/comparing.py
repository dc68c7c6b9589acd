"""Compares two models, exported or not, on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import RecinferError, UsageError
from recinfer.main.config import PathLike
from recinfer.main.first_rows import first_rows
from recinfer.main.remote import local_model
from recinfer.main.scorer import CONFIG, load_scorer

if TYPE_CHECKING:
    import pyarrow as pa

    from recinfer.export.comparison import Comparison
    from recinfer.models.base import Task
    from recinfer.predict.scorer import Scorer

ROUNDS = 7
# Few enough for a round of a second, and more than a chunk.
TIMED_ROWS = 4096


def compare(
    first: PathLike,
    second: PathLike,
    data: str,
    *,
    rows: int = 20_000,
    rounds: int = ROUNDS,
    device: str | None = None,
    fallback: str | None = None,
    public_key: PathLike | None = None,
) -> Comparison:
    """Scores the same rows with two models: how far apart the scores are, and how fast each side is.

    Args:
        first, second: exports, or whatever else :func:`load_scorer` takes.
        data: file, folder, glob or comma list with the columns that both read; label columns give AUC.
        rows: how many to score, from the first on.
        rounds: of timing, in which the sides take turns.
        device, fallback, public_key: of both sides, as for :func:`load_scorer`.

    Raises:
        ModelError: a side does not load.
        SignatureMissingError, SignatureKeyError, TamperedError: with ``public_key``.
        InputError, BadRowError: the data does not fit.
        UsageError: the sides have no prediction in common.
    """
    from recinfer.export import comparison
    from recinfer.export.task_auc import label_columns, task_aucs

    scorers = [load_scorer(path, device=device, fallback=fallback, public_key=public_key) for path in (first, second)]
    names = [set(scorer.outputs.names) for scorer in scorers]
    if not names[0] & names[1]:
        raise UsageError(
            f"the models have no prediction in common: {', '.join(sorted(names[0]))} against "
            f"{', '.join(sorted(names[1]))}",
            "compare exports of one model",
        )
    tasks = _tasks(local_model(first)) or _tasks(local_model(second))
    table = _read(data, scorers, [name for task in tasks for name in label_columns(task)], rows)
    sample = table.slice(0, TIMED_ROWS).combine_chunks().to_batches()[0]
    for scorer in scorers:
        _choose_chunks(scorer, sample)
    scores = [scorer.score(table) for scorer in scorers]
    speeds = comparison.speeds(scorers, sample, rounds)
    sides = [_side(path, speed) for path, speed in zip((first, second), speeds, strict=True)]
    return comparison.Comparison(
        data=data,
        rows=table.num_rows,
        first=sides[0],
        second=sides[1],
        speed_ratio=speeds[1].median / speeds[0].median,
        differences=comparison.differences(*scores),
        auc=task_aucs(tasks, table, *scores),
        only_first=sorted(names[0] - names[1]),
        only_second=sorted(names[1] - names[0]),
    )


def _choose_chunks(scorer: Scorer, sample: pa.RecordBatch) -> None:
    """What a prediction does before it scores."""
    from recinfer.predict.chunk_choice import choose_chunking

    scorer.warm_up()
    scorer.chunking = choose_chunking(scorer, sample)


def _tasks(side: Path) -> list[Task]:
    """What a model predicts, with the labels; empty where its config is not at hand or does not run here."""
    import torch

    from recinfer.config.load import load_pipeline_config
    from recinfer.features import build_features
    from recinfer.features.assets import with_assets_in
    from recinfer.models import build_model

    for folder in (side, side.parent):
        path = side if side.is_file() else folder / CONFIG
        if not path.is_file():
            continue
        try:
            config = with_assets_in(load_pipeline_config(path), path.parent)
            # Shapes only: on the meta device a model takes no memory.
            with torch.device("meta"):
                return build_model(config, build_features(config)).tasks
        except RecinferError:
            return []
    return []


def _read(data: str, scorers: list[Scorer], labels: list[str], rows: int) -> pa.Table:
    """The first rows: the columns that the models read, and labels as far as there are any."""
    from recinfer.data.readers import open_reader
    from recinfer.data.readers.csv_options import from_data_config

    config = scorers[0].data_config
    reader = open_reader(data, csv=from_data_config(config) if config is not None else None)
    for scorer in scorers:
        errors = scorer.parser.check_schema(reader.schema)
        if errors:
            raise errors[0]
    read = [name for scorer in scorers for name in scorer.inputs.names]
    held = [name for name in dict.fromkeys([*read, *labels]) if name in reader.schema.names]
    return first_rows(reader, held, rows, "give a table with rows")


def _side(path: PathLike, speed: Any) -> Any:
    from recinfer.export.comparison import Side
    from recinfer.predict.manifest import read_manifest
    from recinfer.predict.open_export import is_export, kind_of

    given = local_model(path)
    files = [each for each in given.rglob("*") if each.is_file()] if given.is_dir() else [given]
    kind = kind_of(read_manifest(given), given) if is_export(given) else "checkpoint"
    return Side(str(path), kind, sum(each.stat().st_size for each in files), speed)
