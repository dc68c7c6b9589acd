"""What goes wrong with a store, in words for users."""

from __future__ import annotations


class StoreError(OSError):
    """A store does not do what it was asked.

    Args:
        message: what, without the URI, which whoever catches it knows.
        hint: what to do about it.
        transient: whether it may work a moment later.
        answered: whether the store was reached at all.
    """

    def __init__(
        self, message: str, hint: str | None = None, *, transient: bool = False, answered: bool = True
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.transient = transient
        self.answered = answered
