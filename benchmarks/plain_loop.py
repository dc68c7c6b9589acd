"""What a user would write without recinfer: a DataLoader, pandas, a ScriptModule, pandas, one Parquet file.

Usage: python -m benchmarks.plain_loop --model deepfm --export FOLDER --input FOLDER [--tune]

DeepFM is the file that recinfer exported. MultiTowerDIN is written as usual, with padded sequences (padded_din.py).
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import pyarrow.parquet as pq
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from benchmarks import make_criteo, make_sequences, models
from recinfer.predict.memory import peak_memory_bytes

Batch = dict[str, torch.Tensor]
BATCH_SIZES = {"deepfm": (1024, 2048, 4096, 8192, 16384), "din": (16, 32, 64, 128, 256, 1024)}
WARM_UP = 3


@dataclass(frozen=True)
class Setting:
    """How the loop is run: rows of a batch, workers of the loader, intra-op threads of the model."""

    batch_size: int
    workers: int
    threads: int


class Rows(IterableDataset[Batch]):
    """Batches of tensors; workers share the row groups."""

    def __init__(self, model: str, folder: Path, batch_size: int) -> None:
        self.model = model
        self.paths = sorted(folder.glob("*.parquet"))
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        number, count = (worker.id, worker.num_workers) if worker else (0, 1)
        to_batch = criteo_batch if self.model == "deepfm" else padded_batch
        groups = [(path, group) for path in self.paths for group in range(pq.ParquetFile(path).num_row_groups)]
        for path, group in groups[number::count]:
            for rows in pq.ParquetFile(path).iter_batches(self.batch_size, row_groups=[group]):
                yield to_batch(rows.to_pandas())


def criteo_batch(frame: pd.DataFrame) -> Batch:
    """The tensors that the exported DeepFM takes."""
    batch = {"row_id": torch.tensor(frame["row_id"].to_numpy())}
    for number in range(make_criteo.DENSE_COLUMNS):
        batch[f"dense_{number}.values"] = torch.tensor(frame[f"dense_{number}"].to_numpy()).unsqueeze(1)
    ones = torch.ones(len(frame), dtype=torch.int32)
    for number in range(len(make_criteo.VOCABULARIES)):
        batch[f"cat_{number}.values"] = torch.tensor(frame[f"cat_{number}"].to_numpy())
        batch[f"cat_{number}.lengths"] = ones
    return batch


def padded_batch(frame: pd.DataFrame) -> Batch:
    """The tensors that the padded DIN takes."""
    batch = {"row_id": torch.tensor(frame["row_id"].to_numpy())}
    for number in range(make_sequences.DENSE_COLUMNS):
        batch[f"dense_{number}"] = torch.tensor(frame[f"dense_{number}"].to_numpy()).unsqueeze(1)
    for name in [*make_sequences.USER_COLUMNS, *make_sequences.ITEM_COLUMNS]:
        batch[name] = torch.tensor(frame[name].to_numpy())
    for name in make_sequences.ITEM_COLUMNS:
        steps = [torch.tensor(row) for row in frame[f"hist_{name}"]]
        batch[f"hist_{name}"] = pad_sequence(steps, batch_first=True)
    batch["lengths"] = torch.tensor([len(row) for row in frame["hist_item"]])
    return batch


def load(name: str, export: Path) -> torch.jit.ScriptModule:
    """The model that the loop calls."""
    if name == "din":
        from benchmarks.padded_din import script

        return script(models.build(name)[2])  # type: ignore[arg-type]
    from recinfer.predict.operators import load_operators

    load_operators()
    return torch.jit.load(str(export / "scripted_model.pt")).eval()


def run(
    name: str, model: torch.jit.ScriptModule, source: Path, setting: Setting, output: Path, seconds: float | None = None
) -> dict[str, Any]:
    """Scores a table, or as much of it as ``seconds`` allow; the clock starts after the first few batches."""
    torch.set_num_threads(setting.threads)
    loader = DataLoader(Rows(name, source, setting.batch_size), batch_size=None, num_workers=setting.workers)
    frames = []
    rows, start, processor = 0, 0.0, 0.0
    with torch.inference_mode():
        for number, batch in enumerate(loader):
            if number == WARM_UP:
                start, processor, rows = time.perf_counter(), _processor(), 0
            probs = model(batch, torch.device("cpu"))["probs"]
            frames.append(pd.DataFrame({"row_id": batch["row_id"].numpy(), "probs": probs.numpy()}))
            rows += len(probs)
            if seconds is not None and number > WARM_UP and time.perf_counter() - start > seconds:
                break
    pd.concat(frames).to_parquet(output / "scores.parquet")
    spent = time.perf_counter() - start
    return {
        "rows": rows,
        "seconds": spent,
        "rows_per_second": rows / spent,
        "cpu_microseconds_per_row": (_processor() - processor) / rows * 1e6,
        "peak_memory_bytes": peak_memory_bytes(),
        **asdict(setting),
    }


def _processor() -> float:
    """Processor seconds of this process and of its ended workers."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def tune(
    name: str, model: torch.jit.ScriptModule, source: Path, output: Path, seconds: float, batch_sizes: Sequence[int]
) -> list[dict[str, Any]]:
    """Tries batch sizes and threads without workers, then workers with the two best; the fastest comes first.

    The four fastest are tried twice more, so that a setting does not win by a lucky moment of the machine.
    """
    rates: dict[Setting, list[float]] = {}

    def measure(setting: Setting) -> None:
        rates.setdefault(setting, []).append(run(name, model, source, setting, output, seconds)["rows_per_second"])

    def fastest() -> list[Setting]:
        return sorted(rates, key=lambda setting: -statistics.median(rates[setting]))

    for size, threads in itertools.product(batch_sizes, (1, 2)):
        measure(Setting(size, 0, threads))
    best = list(dict.fromkeys(setting.batch_size for setting in fastest()))[:2]
    for size, workers, threads in itertools.product(best, (1, 2), (1, 2)):
        measure(Setting(size, workers, threads))
    finalists = fastest()[:4]
    for setting in finalists * 2:
        measure(setting)
    order = sorted(finalists, key=lambda setting: -statistics.median(rates[setting]))
    order += [setting for setting in fastest() if setting not in finalists]
    return [{**asdict(each), "rows_per_second": statistics.median(rates[each])} for each in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=models.CONTESTED, default="deepfm")
    parser.add_argument("--export", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=4096)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tune", action="store_true", help="find the best setting instead")
    parser.add_argument("--seconds", type=float, help="of each run; default: the whole table, 3 with --tune")
    given = parser.parse_args()
    torch.set_num_threads(2)
    model = load(given.model, given.export)
    with tempfile.TemporaryDirectory() as folder:
        if given.tune:
            tried = tune(given.model, model, given.input, Path(folder), given.seconds or 3.0, BATCH_SIZES[given.model])
            print(json.dumps({"best": tried[0], "tried": tried}))
        else:
            setting = Setting(given.batch_size, given.workers, given.threads)
            print(json.dumps(run(given.model, model, given.input, setting, Path(folder), given.seconds)))


if __name__ == "__main__":
    main()
