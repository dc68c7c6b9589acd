"""Ranks learn from every row of an epoch once, in equally large batches."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recinfer.data.units import Unit
from recinfer.train.row_shuffle import emit_in_order
from recinfer.train.share import Share

EMPTY = pa.record_batch({"row": pa.array([], pa.int64())})
SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def batches_of(share: Share, units: list[Unit]) -> list[list[int]]:
    """The row numbers of each batch, read as training reads them."""
    pieces = []
    for unit, first, last in share.of(units, range(len(units))):
        numbers = range(unit.first_row + first, unit.first_row + last)
        pieces.append(pa.record_batch({"row": list(numbers)}))
    return [batch["row"].to_pylist() for batch in share.cut(emit_in_order(pieces, share.batch_size), EMPTY)]


def units_of(sizes: list[int]) -> list[Unit]:
    return [Unit(index, "rows", sum(sizes[:index]), rows) for index, rows in enumerate(sizes)]


@given(SIZES, st.integers(1, 5), st.integers(1, 9), st.booleans())
def test_every_row_once_in_equally_large_batches(sizes: list[int], ranks: int, batch_size: int, drop: bool) -> None:
    total = sum(sizes)
    shares = [Share(rank, ranks, total, batch_size, drop) for rank in range(ranks)]
    made = [batches_of(share, units_of(sizes)) for share in shares]
    assert {tuple(len(batch) for batch in batches) for batches in made} == {tuple(map(len, made[0]))}
    rows = [row for batches in made for batch in batches for row in batch]
    assert len(set(rows)) == len(rows) and set(rows) <= set(range(total))
    if drop:
        assert all(len(batch) == batch_size for batches in made for batch in batches)
        assert total - len(rows) < ranks * batch_size
    else:
        assert total - len(rows) < ranks
        assert all(batch for batches in made for batch in batches)
    for share, batches in zip(shares, made, strict=True):
        assert [share.batch_rows(position) for position in range(share.steps)] == [len(batch) for batch in batches]


def test_the_last_batch_suffices_for_batch_normalisation() -> None:
    assert [Share(0, 1, 9, 4).batch_rows(position) for position in range(3)] == [4, 3, 2]
    assert [Share(rank, 2, 11, 4).batch_rows(1) for rank in range(2)] == [2, 2]


@given(SIZES, st.integers(1, 9), st.integers(1, 9))
def test_where_empty_batches_do_no_harm_every_row_is_read(sizes: list[int], ranks: int, batch_size: int) -> None:
    shares = [Share(rank, ranks, sum(sizes), batch_size, evaluation=True) for rank in range(ranks)]
    made = [batches_of(share, units_of(sizes)) for share in shares]
    assert {len(batches) for batches in made} == {shares[0].steps}
    assert [row for batches in made for batch in batches for row in batch] == list(range(sum(sizes)))
