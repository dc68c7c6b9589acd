"""How tables may be placed, by config, table and device."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from recinfer.distributed.constraints import World, plan_constraints
from recinfer.nn.model_tables import PlacedTable
from recinfer.nn.tables import Table
from recinfer.protos.embedding_pb2 import ParameterConstraints


def table(rows: int, dim: int = 16, sequence: bool = False, name: str = "t", **changes: Any) -> PlacedTable:
    return PlacedTable(Table(name, rows, dim, "sum", "FP32", changes.pop("trainable", True), None, **changes), sequence)


def asked(*types: str, kernels: tuple[str, ...] = ()) -> Any:
    return ParameterConstraints(sharding_types=types, compute_kernels=kernels)


def types(tables: list[PlacedTable], world: World, general: Any = None) -> list[Any]:
    found = plan_constraints(tables, world, general)
    return [found[placed.table.name].sharding_types for placed in tables]


def test_without_a_word_large_tables_are_split_by_rows() -> None:
    tables = [table(1000, name="large"), table(10, name="small")]
    assert types(tables, World(2, "cpu")) == [["row_wise"], ["table_wise"]]
    assert types(tables, World(1, "cpu")) == [["table_wise"], ["table_wise"]]
    assert types(tables, World(2, "cuda")) == [None, None]


@pytest.mark.parametrize(
    ("placed", "wanted", "expected"),
    [
        (table(5), ["row_wise"], ["table_wise"]),  # 2, 2, 1 and no rows on four ranks
        (table(7), ["row_wise"], ["row_wise"]),
        (table(100, dim=4), ["column_wise"], ["table_wise"]),
        (table(100, dim=8), ["column_wise"], ["column_wise"]),
        (table(100, sequence=True), ["data_parallel"], ["table_wise"]),
        (table(100, sequence=True), ["data_parallel", "row_wise"], ["row_wise"]),
        (table(100, trainable=False), ["data_parallel"], ["table_wise"]),
        (table(100, whole_rows=True), ["column_wise", "row_wise"], ["row_wise"]),
        (table(100), ["table_row_wise", "table_wise"], ["table_wise"]),
    ],
)
def test_what_cannot_be_done_is_left_out(placed: PlacedTable, wanted: list[str], expected: list[str]) -> None:
    # A much larger table, so that the other one alone decides.
    everyone = [placed, table(10**6, name="other")]
    assert types(everyone, World(4, "cpu"), asked(*wanted))[0] == expected


def test_frozen_tables_are_never_copied_on_gpus() -> None:
    (found,) = types([table(100, trainable=False)], World(2, "cuda"))
    assert found and "data_parallel" not in found


def test_a_feature_s_own_word_wins_and_what_is_not_there_is_said(caplog: pytest.LogCaptureFixture) -> None:
    own = table(100, constraints=asked("row_wise", kernels=("fused_uvm", "fused")))
    with caplog.at_level(logging.WARNING):
        found = plan_constraints([own], World(2, "cpu"), asked("column_wise"))["t"]
    assert (found.sharding_types, found.compute_kernels) == (["row_wise"], ["fused"])
    assert "compute_kernels of table t does not run on cpu and is left out: fused_uvm" in caplog.text


def test_data_parallel_tables_learn_by_the_dense_optimizer() -> None:
    found = plan_constraints([table(100)], World(2, "cpu"), asked("data_parallel"))["t"]
    assert (found.sharding_types, found.compute_kernels) == (["data_parallel"], ["dense"])
    assert types([table(100)], World(1, "cpu"), asked("data_parallel")) == [["data_parallel"]]


def test_columns_are_cut_into_as_many_parts_as_ranks() -> None:
    found = {dim: plan_constraints([table(9, dim=dim)], World(4, "cpu"))["t"] for dim in (8, 16, 40, 128)}
    widths = {dim: constraints.min_partition for dim, constraints in found.items()}
    assert widths == {8: 4, 16: 4, 40: 12, 128: 32}


def test_one_name_in_bags_and_in_sequences_gets_what_both_allow() -> None:
    both = [
        table(100, constraints=asked("row_wise", "column_wise")),
        table(100, sequence=True, constraints=asked("column_wise", "table_wise")),
    ]
    assert types(both, World(2, "cpu")) == [["column_wise"]] * 2
