"""The most rows a second that this machine could score: decode, gather, matrix products and write, each measured alone.

Usage: python -m benchmarks.bound --model deepfm --input FOLDER

The bound assumes that the four overlap perfectly on all cores, and that parsing, slicing, activations, the
factorization machine, softmaxes and Python take no time at all.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks import make_sequences, models
from benchmarks.measure import Spent, Step, seconds_per_row

WRITTEN_ROWS = 262_144
SAMPLE_ROWS = 32_768
CHUNK_ROWS = {"deepfm": (256, 512, 1024, 2048, 4096), "din": (10, 20, 40, 80, 160)}


@dataclass(frozen=True)
class Product:
    """A matrix product of the model: ``per_row`` times a row, [1, inner] by [inner, outer]."""

    inner: int
    outer: int
    per_row: float = 1.0

    @property
    def flop(self) -> float:
        """Of one row of input."""
        return 2 * self.inner * self.outer * self.per_row


def products(name: str, steps: float) -> list[Product]:
    """The matrix products of a benchmark model; ``steps`` of a row's sequence on average."""
    if name == "deepfm":
        return chain(429, 512, 256, 128) + chain(128 + 16, 64, 1)
    attention = [Product(48, 256), *chain(96, 256, 64, 1, per_row=steps)]
    return attention + chain(4 + 8 * 16, 256, 128) + chain(128 + 48, 64, 1)


def chain(*widths: int, per_row: float = 1.0) -> list[Product]:
    """The products of an MLP."""
    return [Product(inner, outer, per_row) for inner, outer in itertools.pairwise(widths)]


def multiply(layers: Sequence[Product], rows: int) -> Step:
    """All products of a chunk of rows, into buffers that stay."""
    sizes = [max(round(layer.per_row * rows), 1) for layer in layers]
    inputs = [torch.randn(size, layer.inner) for size, layer in zip(sizes, layers, strict=True)]
    weights = [torch.randn(layer.outer, layer.inner) for layer in layers]
    outputs = [torch.empty(size, layer.outer) for size, layer in zip(sizes, layers, strict=True)]

    def step() -> int:
        for left, right, out in zip(inputs, weights, outputs, strict=True):
            torch.mm(left, right.t(), out=out)
        return rows

    return step


def decode(source: Path, columns: list[str]) -> Step:
    """Reads the table over and over, batch by batch."""

    def batches() -> Iterator[pa.RecordBatch]:
        for path in itertools.cycle(sorted(source.glob("*.parquet"))):
            yield from pq.ParquetFile(path, pre_buffer=False).iter_batches(8192, columns=columns, use_threads=False)

    held = batches()
    return lambda: next(held).num_rows


def write(folder: Path) -> Step:
    """Writes row ids and scores."""
    table = pa.table(
        {
            "probs": pa.array(np.random.default_rng(0).random(WRITTEN_ROWS, np.float32)),
            "row_id": pa.array(np.arange(WRITTEN_ROWS)),
        }
    )
    path = Path(tempfile.mkdtemp(dir=folder)) / "part.parquet"

    def step() -> int:
        pq.write_table(table, path, compression="snappy", use_dictionary=False)
        return WRITTEN_ROWS

    return step


@dataclass(frozen=True)
class Lookup:
    """Ids of one feature: ``values`` and, where a row holds several, ``offsets`` [rows + 1]."""

    rows_of_table: int
    values: torch.Tensor
    offsets: torch.Tensor

    def chunk(self, first: int, last: int) -> torch.Tensor:
        """The ids of some rows."""
        return self.values[int(self.offsets[first]) : int(self.offsets[last])]


def lookups(name: str, table: pa.Table) -> list[Lookup]:
    """Everything that the model looks up, feature by feature."""
    features = models.build(name, scale=1_000_000)[1]
    pooled = [feature for feature in features if feature.is_sparse and not feature.is_sequence]
    if name == "din":
        # Candidates are looked up twice: for the tower, and as the query of the attention.
        pooled += [feature for feature in features if feature.name in make_sequences.ITEM_COLUMNS]
    sizes = table_sizes(name)
    found = []
    for feature in [*pooled, *(feature for feature in features if feature.is_sequence)]:
        column = table.column(feature.name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0)
        if feature.is_sequence:
            offsets = torch.from_numpy(column.offsets.to_numpy().astype(np.int64))
            values = column.flatten()
        else:
            offsets, values = torch.arange(len(column) + 1), column
        found.append(Lookup(sizes[feature.name], torch.from_numpy(values.to_numpy().copy()), offsets))
    return found


def table_sizes(name: str) -> dict[str, int]:
    """Rows of each feature's table."""
    from recinfer.config.load import parse_pipeline_config
    from recinfer.features import build_features

    features = build_features(parse_pipeline_config(models.BENCHMARKS[name].config(1)))
    return {feature.name: feature.table_rows for feature in features if feature.is_sparse}


def gather_each(found: Sequence[Lookup], tables: Sequence[torch.Tensor], rows: int) -> Step:
    """One call of ``torch.embedding`` a feature."""
    places = itertools.cycle(range(0, len(found[0].offsets) - 1 - rows, rows))

    def step() -> int:
        first = next(places)
        for lookup, weights in zip(found, tables, strict=True):
            torch.embedding(weights, lookup.chunk(first, first + rows))
        return rows

    return step


def gather_batched(found: Sequence[Lookup], tables: Sequence[torch.Tensor], rows: int) -> Step:
    """One call of fbgemm's batched lookup for all features, ids already side by side."""
    from fbgemm_gpu.split_embedding_configs import SparseType
    from fbgemm_gpu.split_table_batched_embeddings_ops_common import BoundsCheckMode, EmbeddingLocation, PoolingMode
    from fbgemm_gpu.split_table_batched_embeddings_ops_inference import IntNBitTableBatchedEmbeddingBagsCodegen

    operator = IntNBitTableBatchedEmbeddingBagsCodegen(
        [(f"t{i}", len(each), models.DIM, SparseType.FP32, EmbeddingLocation.HOST) for i, each in enumerate(tables)],
        device="cpu",
        weight_lists=[(each.view(torch.uint8), None) for each in tables],
        pooling_mode=PoolingMode.NONE,
        output_dtype=SparseType.FP32,
        row_alignment=16,
        bounds_check_mode=BoundsCheckMode.NONE,
    )
    chunks = []
    for first in range(0, len(found[0].offsets) - 1 - rows, rows):
        pieces = [lookup.chunk(first, first + rows) for lookup in found]
        lengths = torch.cat([lookup.offsets[first : first + rows + 1].diff() for lookup in found])
        chunks.append((torch.cat(pieces), torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])))
    places = itertools.cycle(chunks)

    def step() -> int:
        operator(*next(places))
        return rows

    return step


def measure(name: str, source: Path, seconds: float, threads: int) -> dict[str, Any]:
    """Microseconds that a thread spends on a row, per stage, while ``threads`` of them run the same stage.

    ``rows_per_second`` is by the clock; ``cpu`` holds the same of the processor's time, which a busy machine disturbs
    less.
    """
    torch.set_num_threads(1)
    features = models.build(name, scale=1_000_000)[1]
    columns = [feature.name for feature in features] + ["row_id"]
    table = next(pq.ParquetFile(sorted(source.glob("*.parquet"))[0]).iter_batches(SAMPLE_ROWS, columns=columns))
    found = lookups(name, pa.Table.from_batches([table]))
    steps = sum(len(each.values) for each in found) / table.num_rows
    steps = (steps - 11) / 3 if name == "din" else 0.0
    weights = [torch.randn(each.rows_of_table, models.DIM) for each in found]
    rows = 1024 if name == "deepfm" else 40

    def timed(make: Callable[[], Step]) -> Spent:
        return seconds_per_row(make, seconds, threads)

    with tempfile.TemporaryDirectory() as folder:
        tried: dict[str, dict[str, Spent]] = {
            "decode": {"": timed(lambda: decode(source, columns))},
            "gather": {
                "torch": timed(lambda: gather_each(found, weights, rows)),
                "fbgemm": timed(lambda: gather_batched(found, weights, rows)),
            },
            "multiply": {
                str(size): timed(functools.partial(multiply, products(name, steps), size)) for size in CHUNK_ROWS[name]
            },
            "write": {"": timed(lambda: write(Path(folder)))},
        }
    flop = sum(product.flop for product in products(name, steps))
    return {"threads": threads, "steps_per_row": steps, **_summary(tried, flop, threads, "wall")} | {
        "cpu": _summary(tried, flop, threads, "cpu")
    }


def _summary(tried: dict[str, dict[str, Spent]], flop: float, threads: int, clock: str) -> dict[str, Any]:
    each = {stage: {way: getattr(spent, clock) for way, spent in ways.items()} for stage, ways in tried.items()}
    best = {stage: min(ways.values()) for stage, ways in each.items()}
    return {
        "rows_per_second": threads / sum(best.values()),
        "microseconds_per_row": {stage: spent * 1e6 for stage, spent in best.items()},
        "ways": {
            stage: {way: spent * 1e6 for way, spent in ways.items()} for stage, ways in each.items() if "" not in ways
        },
        "gflop_per_second": flop / best["multiply"] / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=models.CONTESTED, default="deepfm")
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=0.5, help="per measurement")
    parser.add_argument("--threads", type=int, default=1, help="that run a stage side by side")
    given = parser.parse_args()
    print(json.dumps(measure(given.model, given.input, given.seconds, given.threads)))


if __name__ == "__main__":
    main()
