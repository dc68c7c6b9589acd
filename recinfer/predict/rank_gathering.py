"""Waiting for the other processes of a prediction, and holding them against each other."""

from __future__ import annotations

from recinfer.errors import ToldByOtherRankError
from recinfer.predict.rank_cards import Card, check_cards
from recinfer.predict.rank_session import Session


def gather(session: Session, card: Card) -> None:
    """Shows what this process has; rank 0 waits until all have, and compares.

    Raises:
        RankError: on rank 0, the processes do not fit each other, or one was lost.
    """
    session.roll.present(card)
    if session.leads:
        wait_for_all(session, "cards", own=1)
        cards = {rank: session.roll.card(rank) for rank in range(session.roll.size)}
        check_cards({rank: card for rank, card in cards.items() if card is not None})


def wait_for_all(session: Session, counter: str, own: int = 0) -> None:
    """Waits until every other process has counted itself.

    Raises:
        RankError: one was lost.
    """
    wanted = session.roll.size - 1 + own
    gone = session.poll(lambda: session.board.add(counter, 0) >= wanted, lambda: session.others)
    if gone:
        session.ending.check()
        raise session.lost(gone)


def wait_for_word(session: Session, key: str) -> str:
    """Waits for something that rank 0 writes, and returns it.

    Raises:
        RankError: rank 0 was lost, and this process is the one to say so.
        ToldByOtherRankError: it has ended.
    """
    if session.poll(lambda: session.board.read(key) is not None, lambda: [0]):
        session.ending.check()
        raise session.speak(session.lost([0]))
    word = session.board.read(key)
    if word is None:
        raise ToldByOtherRankError("rank 0 has ended")
    return word
