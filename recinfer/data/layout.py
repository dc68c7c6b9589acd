"""Names inside an output folder."""

from __future__ import annotations

from pathlib import Path

CONTROL = "_recinfer"
SUCCESS = "_SUCCESS"
QUARANTINE = "_quarantine"


class Layout:
    """Where things lie below ``root``."""

    def __init__(self, root: Path, suffix: str = ".parquet", units: int = 0) -> None:
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

    def part(self, index: int) -> Path:
        return self.root / f"part-{self.number(index)}{self.suffix}"

    def record(self, index: int) -> Path:
        return self.units / f"{self.number(index)}.json"

    def quarantined(self, index: int) -> Path:
        return self.quarantine / f"unit-{self.number(index)}.parquet"
