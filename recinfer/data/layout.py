"""Names inside an output folder."""

from __future__ import annotations

from typing import Generic, Protocol, Self, TypeVar

CONTROL = "_recinfer"
SUCCESS = "_SUCCESS"
QUARANTINE = "_quarantine"


class Place(Protocol):
    """Where a file or folder lies: a :class:`pathlib.Path`, or its like in a store."""

    @property
    def name(self) -> str: ...

    @property
    def parent(self) -> Self: ...

    def __truediv__(self, name: str, /) -> Self: ...

    def with_name(self, name: str) -> Self: ...


P = TypeVar("P", bound=Place)


class Layout(Generic[P]):
    """Where things lie below ``root``."""

    def __init__(self, root: P, suffix: str = ".parquet", units: int = 0) -> None:
        self.root = root
        self.suffix = suffix
        self.digits = max(5, len(str(max(units - 1, 0))))
        self.control = root / CONTROL
        self.plan = self.control / "plan.json"
        self.lock = self.control / "lock"
        self.attempts = self.control / "attempts"
        self.members = self.attempts / "members"
        self.pending = self.attempts / "pending.json"
        self.units = self.control / "units"
        self.swap = self.control / "swap"
        self.success = root / SUCCESS
        self.quarantine = root / QUARANTINE

    def number(self, index: int) -> str:
        """A unit's index as names carry it: five digits, more where the plan needs them."""
        return f"{index:0{self.digits}d}"

    def part(self, index: int) -> P:
        return self.root / f"part-{self.number(index)}{self.suffix}"

    def record(self, index: int) -> P:
        return self.units / f"{self.number(index)}.json"

    def quarantined(self, index: int) -> P:
        return self.quarantine / f"unit-{self.number(index)}.parquet"
