"""Predicts, and verifies predictions."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from recinfer.errors import UsageError
from recinfer.main.config import PathLike
from recinfer.main.scorer import load_scorer

if TYPE_CHECKING:
    from recinfer.data.verify import VerifyReport
    from recinfer.predict.job import PredictOptions, PredictSummary, Prepared
    from recinfer.predict.pipeline import OnProgress
    from recinfer.predict.scorer import Scorer


def prepare_prediction(
    model: PathLike | Scorer,
    predict_input_path: str,
    predict_output_path: PathLike | None,
    options: PredictOptions,
    dataset_type: str | None = None,
) -> Prepared:
    """Loads, checks and plans a prediction without scoring: what ``--dry-run`` shows.

    Raises:
        ModelError, InputError, ConfigError, UsageError: whatever can be known before scoring.
    """
    from recinfer.data.readers import open_reader
    from recinfer.data.readers.csv_options import from_data_config
    from recinfer.predict.job import prepare

    scorer = load_scorer(model) if isinstance(model, str | os.PathLike) else model
    csv = from_data_config(scorer.data_config) if scorer.data_config is not None else None
    return prepare(open_reader(predict_input_path, dataset_type, csv), scorer, predict_output_path, options)


def predict(
    scripted_model_path: PathLike | Scorer,
    predict_input_path: str,
    predict_output_path: PathLike,
    *,
    options: PredictOptions | None = None,
    dataset_type: str | None = None,
    on_progress: OnProgress | None = None,
    **settings: Any,
) -> PredictSummary:
    """Scores a table and commits the predictions; a run that was stopped is continued by the same call.

    Args:
        scripted_model_path: an export folder, or whatever else :func:`load_scorer` takes, or a scorer.
        predict_input_path: file, folder, glob or comma list.
        predict_output_path: a folder; complete once it holds ``_SUCCESS``.
        options: all settings at once; or name fields of :class:`~recinfer.predict.job.PredictOptions` as keywords.
        dataset_type: ``ParquetDataset`` or ``CsvDataset``; by default by the files' suffixes.
        on_progress: called twice a second with a snapshot.

    Raises:
        RecinferError: what went wrong and where; the output folder can be resumed.
    """
    from recinfer.predict.job import PredictOptions, run

    began = time.perf_counter()
    if options is not None and settings:
        raise UsageError(f"give options, or {', '.join(settings)}, not both")
    chosen = options or PredictOptions(**settings)
    prepared = prepare_prediction(scripted_model_path, predict_input_path, predict_output_path, chosen, dataset_type)
    return run(prepared, predict_output_path, chosen, on_progress=on_progress, began=began)


def verify(output_path: PathLike) -> VerifyReport:
    """Reads an output folder again and holds it against its manifest."""
    from recinfer.data.verify import verify_output

    return verify_output(output_path)
