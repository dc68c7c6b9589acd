"""The measurement that chooses a run's chunk, on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from recinfer.data.batch import Chunking
from recinfer.predict import chunk_choice
from recinfer.predict.scorer import Scorer


class Timed(Scorer):
    """Says how large its chunks are, by a clock of its own."""

    def __init__(self, scorer: Scorer, cost: Callable[[Chunking], float], clock: list[float]) -> None:
        self.__dict__.update(scorer.__dict__)
        self.cost, self.clock = cost, clock

    def run(self, tensors: Any) -> Any:
        raise AssertionError("not needed")

    def score_tensors(self, tensors: Any, rows: int, positions: Any = None) -> Any:
        self.clock[0] += self.cost(self.chunking)


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda chunking: 1.0 if chunking.steps == 3000 else 2.0, Chunking(1024, 3000)),
        (lambda chunking: 1.0 if chunking.steps == 750 else 2.0, Chunking(1024, 750)),
        (lambda chunking: 1.0 if chunking.steps == 750 else 1.03, Chunking(1024, 1500)),
        (lambda chunking: 1.0, Chunking(1024, 1500)),
    ],
    ids=["larger wins", "smaller wins", "too little to tell", "equal"],
)
def test_the_fastest_chunk_is_chosen_where_it_clearly_wins(
    scorer: Scorer,
    table: pa.Table,
    monkeypatch: pytest.MonkeyPatch,
    cost: Callable[[Chunking], float],
    expected: Chunking,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(chunk_choice.time, "thread_time", lambda: clock[0])
    timed = Timed(scorer, cost, clock)
    before = timed.chunking
    (sample,) = table.combine_chunks().to_batches()
    assert chunk_choice.choose_chunking(timed, sample) == expected
    assert timed.chunking == before


def test_few_rows_are_not_measured(scorer: Scorer, table: pa.Table) -> None:
    def cost(chunking: Chunking) -> float:
        raise AssertionError("not to be measured")

    sample = table.slice(0, 100).combine_chunks().to_batches()[0]
    assert chunk_choice.choose_chunking(Timed(scorer, cost, [0.0]), sample) == Chunking(1024, 1500)
