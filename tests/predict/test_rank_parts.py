"""The small parts of predicting by several processes: shares of the cores, lists of units, cards."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recinfer.distributed.ending import Ending, Terminated
from recinfer.errors import RankError
from recinfer.predict import threads
from recinfer.predict.rank_cards import check_cards
from recinfer.predict.rank_job import JobCard, from_ranges, to_ranges


@pytest.mark.parametrize(
    ("cores", "ranks", "shares"), [(8, 2, [4, 4]), (8, 3, [3, 3, 2]), (2, 4, [1, 1, 1, 1]), (5, 1, [5])]
)
def test_ranks_of_a_machine_share_its_cores(
    cores: int, ranks: int, shares: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    assert [threads.rank_threads(rank, ranks) for rank in range(ranks)] == shares


@given(st.sets(st.integers(0, 50)))
def test_lists_of_units_come_back(indices: set[int]) -> None:
    ranges = to_ranges(sorted(indices))
    assert from_ranges(ranges) == sorted(indices)
    # As few pairs as there are beginnings.
    assert len(ranges) == sum(index - 1 not in indices for index in indices)


def test_a_job_card_comes_back() -> None:
    card = JobCard("/out", "/out", 3, "ab", "cd", "CsvDataset", "in/*.csv", 8192)
    assert JobCard.from_text(card.to_text()) == card


def card(torch: str = "2.13", instructions: str = "AVX512") -> dict[str, object]:
    return {"must": {"torch": torch, "recinfer": "0.1"}, "instructions": instructions}


def test_cards_that_differ_are_listed(caplog: pytest.LogCaptureFixture) -> None:
    check_cards({rank: card() for rank in range(3)})
    assert not caplog.records
    cards = {rank: card() for rank in range(12)} | {1: card("2.12"), 12: card("2.12")}
    with pytest.raises(RankError) as told:
        check_cards(cards)
    first = "0, 2, 3, 4, 5, 6, 7, 8 and 3 more"
    assert told.value.message.splitlines()[1:] == [f"  torch: 2.13 on ranks {first}; 2.12 on ranks 1, 12"]


def test_other_processors_are_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_cards({0: card(), 1: card(instructions="AVX2")})
    assert "AVX512 on rank 0; AVX2 on rank 1" in caplog.text


def test_being_asked_to_end() -> None:
    ending, stopped = Ending(), list[bool]()
    ending.check()
    with ending.draining(lambda: stopped.append(True)):
        ending.ask()
        # What is in hand goes on.
        assert ending.asked and not stopped
    with pytest.raises(Terminated):
        ending.check()
    with pytest.raises(Terminated), ending.interrupts():
        pytest.fail("nothing begins any more")


def test_sigterm_interrupts_what_only_prepares() -> None:
    import os
    import signal

    ending = Ending()
    before = signal.getsignal(signal.SIGTERM)
    with ending.listening():
        with pytest.raises(Terminated), ending.interrupts():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        assert ending.asked
        # A second one changes nothing.
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
