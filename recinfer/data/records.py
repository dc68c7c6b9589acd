"""What is known of finished units, and of a finished job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from recinfer.data.files import parse_json
from recinfer.data.layout import Layout, P
from recinfer.data.storage import Storage
from recinfer.data.units import Unit


@dataclass(frozen=True)
class UnitRecord:
    """A unit whose part is in place.

    Attributes:
        unit: index in the plan.
        part: name of the part file.
        rows: rows in the part.
        bytes: its size.
        sha256: of its content.
        quarantined: rows of the unit that lie in ``_quarantine`` instead.
    """

    unit: int
    part: str
    rows: int
    bytes: int
    sha256: str
    quarantined: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Totals:
    """What a finished job wrote: ``rows_in == rows + quarantined``.

    Attributes:
        already_complete: the folder was complete before this job began.
    """

    rows_in: int
    rows: int
    quarantined: int
    parts: int
    bytes: int
    already_complete: bool = False


def total(records: Iterable[UnitRecord], already_complete: bool = False) -> Totals:
    """Adds up records."""
    kept = list(records)
    rows, quarantined = sum(record.rows for record in kept), sum(record.quarantined for record in kept)
    return Totals(
        rows + quarantined, rows, quarantined, len(kept), sum(record.bytes for record in kept), already_complete
    )


def read_records(storage: Storage[P], layout: Layout[P], units: Iterable[Unit]) -> dict[int, UnitRecord]:
    """Every record that can be trusted: its part exists and has the size that it should have."""
    contents, sizes = storage.read_all(layout.units), storage.sizes(layout.root)
    found = {}
    for unit in units:
        record = parse_record(layout, unit.index, contents)
        if record and sizes.get(layout.part(unit.index).name) == record.bytes:
            found[unit.index] = record
    return found


def parse_record(layout: Layout[P], index: int, contents: Mapping[str, bytes]) -> UnitRecord | None:
    """A unit's record, or None where it has none.

    Args:
        contents: of the files in the folder of records, by name.

    Raises:
        InputError, TypeError: it is damaged.
    """
    place = layout.record(index)
    content = contents.get(place.name)
    return None if content is None else UnitRecord(**parse_json(content, place))
