"""Training batches: every row once, order, shuffling, labels, stopping."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recinfer.errors import BadRowError, ConfigError, InputError
from recinfer.train.batches import BatchSource, evaluation_options, training_options
from recinfer.train.prefetch import prefetch

from .conftest import make_table, source


def rows_of(batches: Iterator[Any]) -> list[list[int]]:
    return [batch.labels["row"].tolist() for batch in batches]


def joined(batches: list[list[int]]) -> list[int]:
    return [row for batch in batches for row in batch]


def tracked(config: Any, path: Path, **changes: Any) -> BatchSource:
    return source(config, path, labels=("row",), **changes)


def test_in_order_across_units(config: Any, data: Path) -> None:
    batches = tracked(config, data / "train.parquet", shuffle_rows=0)
    found = rows_of(batches.epoch())
    assert [len(rows) for rows in found] == [32] * 6 + [18]
    assert joined(found) == list(range(210))
    assert batches.batches_per_epoch == 7


def test_drop_remainder(config: Any, data: Path) -> None:
    for shuffle in (0, 64):
        batches = tracked(config, data / "train.parquet", shuffle_rows=shuffle, drop_remainder=True)
        assert [len(rows) for rows in rows_of(batches.epoch())] == [32] * 6
        assert batches.batches_per_epoch == 6


@pytest.mark.parametrize("buffer_rows", [1, 64, 100, 10_000])
def test_shuffling_is_a_permutation_that_seed_and_epoch_decide(config: Any, data: Path, buffer_rows: int) -> None:
    batches = tracked(config, data / "train.parquet", shuffle_rows=buffer_rows)
    first = rows_of(batches.epoch(0))
    assert [len(rows) for rows in first] == [32] * 6 + [18]
    assert sorted(joined(first)) == list(range(210))
    assert joined(first) != list(range(210))
    assert first == rows_of(batches.epoch(0))
    assert first != rows_of(batches.epoch(1))
    assert first != rows_of(
        source(config, data / "train.parquet", seed=6, labels=("row",), shuffle_rows=buffer_rows).epoch(0)
    )


def test_skip_goes_on_where_another_run_stopped(config: Any, data: Path) -> None:
    batches = tracked(config, data / "train.parquet", shuffle_rows=64)
    assert rows_of(batches.epoch(1, skip=3)) == rows_of(batches.epoch(1))[3:]
    assert rows_of(batches.epoch(1, skip=99)) == []


def test_features_labels_weights_and_groups_belong_to_one_row(config: Any, data: Path) -> None:
    batches = source(
        config, data / "train.parquet", labels=("row", "clicked"), weights=("weight",), groups=("user", "history")
    )
    table = pq.read_table(data / "train.parquet")
    histories: dict[int, set[tuple[int, ...]]] = {}
    for batch in batches.epoch():
        rows = table.take(pa.array(batch.labels["row"].numpy()))
        assert batch.features["user.values"].tolist() == rows["user"].to_pylist()
        assert batch.labels["clicked"].tolist() == rows["clicked"].to_pylist()
        assert batch.labels["clicked"].dtype == torch.int64
        assert batch.weights["weight"].tolist() == rows["weight"].to_pylist()
        for code, history in zip(batch.groups["history"].tolist(), rows["history"].to_pylist(), strict=True):
            histories.setdefault(code, set()).add(tuple(history))
        assert len(np.unique(batch.groups["user"])) == len(set(rows["user"].to_pylist()))
    assert all(len(same) == 1 for same in histories.values())
    assert len(histories) == len({tuple(history) for history in table["history"].to_pylist()})


@pytest.mark.parametrize(("value", "what"), [(None, "null"), (float("nan"), "not a number")])
def test_missing_label_names_column_and_row(config: Any, tmp_path: Path, value: Any, what: str) -> None:
    table = make_table(100, 0)
    labels = [0.0] * 100
    labels[73] = value
    table = table.set_column(table.schema.get_field_index("clicked"), "clicked", pa.array(labels, pa.float64()))
    pq.write_table(table, tmp_path / "bad.parquet", row_group_size=30)
    with pytest.raises(BadRowError, match=f"'clicked' is {what} in row 74 of .*bad.parquet"):
        list(source(config, tmp_path / "bad.parquet").epoch())


@pytest.mark.parametrize("shuffled", [0, 64])
def test_a_bad_value_names_file_and_row(config: Any, tmp_path: Path, shuffled: int) -> None:
    for name, bad in (("a", None), ("b", 73), ("c", None)):
        table = make_table(100, 0)
        users = table["user"].to_pylist()
        if bad is not None:
            users[bad] = 20
        table = table.set_column(table.schema.get_field_index("user"), "user", pa.array(users))
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=30)
    with pytest.raises(BadRowError, match=r"'user': id 20 is outside its table of 20 rows, in row 74 of .*b\.parquet"):
        list(source(config, tmp_path, shuffle_rows=shuffled).epoch())


def test_text_labels_and_missing_columns_are_input_errors(config: Any, tmp_path: Path) -> None:
    table = make_table(10, 0)
    position = table.schema.get_field_index("clicked")
    pq.write_table(table.set_column(position, "clicked", pa.array(["1"] * 10)), tmp_path / "text.parquet")
    with pytest.raises(InputError, match="'clicked' holds string"):
        source(config, tmp_path / "text.parquet")
    pq.write_table(
        table.rename_columns(["click" if n == "clicked" else n for n in table.column_names]), tmp_path / "no.parquet"
    )
    with pytest.raises(InputError, match="did you mean 'click'"):
        source(config, tmp_path / "no.parquet")


def test_options_from_config(edit: Callable[[str], Any]) -> None:
    config = edit('data_config { eval_batch_size: 7 sample_weight_fields: "weight" drop_remainder: true }')
    made = training_options(config.data_config)
    assert (made.batch_size, made.shuffle_rows, made.weights, made.drop_remainder) == (32, 96, ("weight",), True)
    made = evaluation_options(config.data_config)
    assert (made.batch_size, made.shuffle_rows, made.drop_remainder) == (7, 0, False)
    config.data_config.batch_size = 0
    with pytest.raises(ConfigError, match="batch_size"):
        training_options(config.data_config)


def test_closing_early_ends_the_thread(config: Any, data: Path) -> None:
    batches = source(config, data / "train.parquet", batch_size=1).epoch()
    next(batches)
    assert any(thread.name == "training batches" for thread in threading.enumerate())
    batches.close()  # type: ignore[attr-defined]
    assert not any(thread.name == "training batches" for thread in threading.enumerate())


def test_prefetch_is_bounded_and_keeps_items_before_an_error() -> None:
    made: list[int] = []
    asked = threading.Event()

    def items() -> Iterator[int]:
        for number in range(10):
            if number == 5:
                asked.wait(10)
                raise ValueError("broken")
            made.append(number)
            yield number

    stream = prefetch(items(), 2, "test")
    assert next(stream) == 0
    assert len(made) <= 4
    asked.set()
    assert [next(stream) for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="broken"):
        next(stream)


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_first_batches_are_the_same_rows_on_any_number_of_ranks(config: Any, data: Path, ranks: int) -> None:
    rows = []
    for rank in range(ranks):
        made = tracked(config, data / "train.parquet", shuffle_rows=0, evaluation=True)
        share = BatchSource(made.reader, made.parser, made.options, 5, rank, ranks).first(2)
        rows += joined(rows_of(share.epoch()))
    assert rows == list(range(64))
