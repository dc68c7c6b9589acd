"""One run of recinfer in a process of its own, through the Python API.

Usage: python -m benchmarks.recinfer_run --export FOLDER --input FOLDER --output FOLDER
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path


def processor_seconds() -> float:
    """Processor time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--export", type=Path, required=True)
    parser.add_argument("--input", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--batch-size", type=int)
    given = parser.parse_args()

    from recinfer.main.prediction import prepare_prediction
    from recinfer.predict.job import PredictOptions, run

    options = PredictOptions(
        reserved_columns=("row_id",),
        output_columns=("probs",),
        predict_threads=given.threads,
        batch_size=given.batch_size,
    )
    prepared = prepare_prediction(given.export, given.input, given.output, options)
    processor, scoring_from = processor_seconds(), time.time()
    summary = run(prepared, given.output, options)
    processor = processor_seconds() - processor
    print(
        json.dumps(
            {
                **summary.to_json(),
                "cpu_microseconds_per_row": processor / summary.rows_scored * 1e6,
                "rows": summary.rows_scored,
                "first_batch_at": scoring_from + (summary.first_batch_seconds or 0.0),
            }
        )
    )


if __name__ == "__main__":
    main()
