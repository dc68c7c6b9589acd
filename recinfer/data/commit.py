"""The output folder: written unit by unit, complete when ``_SUCCESS`` says so, resumable at any moment before."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from recinfer.data.attempt import Attempt
from recinfer.data.claim import Claim, claim_folder
from recinfer.data.files import output_errors
from recinfer.data.layout import Layout
from recinfer.data.plan import FORMAT, Plan
from recinfer.data.records import Totals, UnitRecord, read_records, total
from recinfer.data.storage import place_of, storage_of
from recinfer.data.units import Unit
from recinfer.data.writers import writer_class
from recinfer.errors import OutputError


class OutputFolder:
    """An output folder that this job holds. Threads may work at different units at once.

    Use it as a context manager, or call :meth:`close`; :meth:`open` makes one.

    Attributes:
        plan: what is being done.
        target: where the output is to be.
        storage: what keeps it.
        already_complete: the folder was complete when it was opened, so nothing is pending.
    """

    def __init__(self, claim: Claim, plan: Plan) -> None:
        self.plan = plan
        self.target = claim.target
        self.storage = claim.storage
        self._held = claim.held
        self._swap = claim.root != claim.target
        self._layout: Layout[Any] = Layout(claim.root, writer_class(plan.kind).suffix, len(plan.units))
        self._mutex = threading.Lock()
        self._records: dict[int, UnitRecord] = {}
        self.already_complete = False

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], plan: Plan, *, resume: bool = True, overwrite: bool = False
    ) -> OutputFolder:
        """Claims a folder for a plan.

        Args:
            resume: continue what an earlier run of the same plan has left; False makes that an error.
            overwrite: replace other output, which stays in place until the new one is complete.

        Raises:
            OutputError: the folder cannot be written, is in use, holds files of others, or lies in the input.
            PlanMismatchError: it holds the output of another plan, and ``overwrite`` is False.
        """
        writer_class(plan.kind).check(plan.output_schema)
        claim = claim_folder(path, plan, resume, overwrite)
        folder = cls(claim, plan)
        try:
            with output_errors(folder.target):
                folder._take_stock()
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def join(cls, root: str, target: str, plan: Plan) -> OutputFolder:
        """Works at units of a folder that another process has opened, and will finish.

        Args:
            root: where the parts grow: ``layout.root`` of that process's folder.
            target: where the output is to be.
            plan: as that process has written it.

        Raises:
            OutputError: the folder cannot be seen or written from here.
        """
        held = ExitStack()
        place = place_of(root)
        with output_errors(root):
            storage = storage_of(place)
            storage.join(place, held)
        return cls(Claim(place_of(target), place, storage, held), plan)

    @property
    def layout(self) -> Layout[Any]:
        """Where things lie; other processes find them there."""
        return self._layout

    def recount(self) -> list[Unit]:
        """Reads the records anew, since other processes write them too; returns the units without a part."""
        with output_errors(self.target):
            records = read_records(self.storage, self._layout, self.plan.units)
        with self._mutex:
            self._records = records
        return self.pending()

    def pending(self) -> list[Unit]:
        """Units without a part, in order."""
        with self._mutex:
            return [unit for unit in self.plan.units if unit.index not in self._records]

    def is_done(self, unit: Unit) -> bool:
        """Whether a unit has a part, as far as this process knows."""
        with self._mutex:
            return unit.index in self._records

    @property
    def totals(self) -> Totals:
        """What is recorded so far."""
        with self._mutex:
            return total(self._records.values(), self.already_complete)

    def attempt(self, unit: Unit) -> Attempt:
        """Begins a try at a unit. Close it with ``publish()`` or ``abandon()``."""
        return Attempt(self.storage, self._layout, self.plan, unit, self._record)

    def finish(self) -> Totals:
        """Writes ``_SUCCESS``, last of all, and puts an overwriting output in place.

        Raises:
            OutputError: units are still pending, or the disk does not take it.
        """
        with output_errors(self.target):
            self._records = read_records(self.storage, self._layout, self.plan.units)
            left = self.pending()
            if left:
                raise OutputError(
                    f"{self.target}: {len(left)} of {len(self.plan.units)} units are not done", "run it again to resume"
                )
            if not self.storage.exists(self._layout.success):
                self.storage.finish(self._layout, self._success())
            if self._swap:
                self.storage.swap_into_place(self.target)
                self._swap = False
                self._layout = Layout(self.target, self._layout.suffix, len(self.plan.units))
        return self.totals

    def close(self) -> None:
        """Lets others have the folder; what is published stays, and a later run resumes from there."""
        self._held.close()

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take_stock(self) -> None:
        """Reads the records that can be trusted; a ``_SUCCESS`` that they do not bear out goes away."""
        self._records = read_records(self.storage, self._layout, self.plan.units)
        finished = self.storage.exists(self._layout.success)
        if finished and len(self._records) == len(self.plan.units):
            self.already_complete = not self._swap
            return
        if finished:
            self.storage.reopen(self._layout)
        self.storage.keep_only(self._layout, [place for unit in self._records for place in self._places(unit)])

    def _places(self, unit: int) -> list[Any]:
        """Everything that a unit has published."""
        return [self._layout.part(unit), self._layout.record(unit), self._layout.quarantined(unit)]

    def _record(self, record: UnitRecord) -> None:
        with self._mutex:
            self._records[record.unit] = record

    def _success(self) -> dict[str, object]:
        records = [self._records[unit.index] for unit in self.plan.units]
        totals = total(records)
        return {
            "format": FORMAT,
            "rows_in": totals.rows_in,
            "rows": totals.rows,
            "quarantined": totals.quarantined,
            "bytes": totals.bytes,
            "model": self.plan.model,
            "inputs": [vars(file) for file in self.plan.inputs],
            "parts": [record.to_json() for record in records],
        }
