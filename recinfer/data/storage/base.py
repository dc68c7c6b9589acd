"""The contract of storage: what an output folder needs of the place where it lies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Generic

from recinfer.data.layout import Layout, P


class Storage(ABC, Generic[P]):
    """Keeps one output folder at a time. What is written is there whole or not at all, after any crash.

    Whatever fails raises OSError, which :func:`recinfer.data.files.output_errors` makes understandable.
    """

    @abstractmethod
    def take(self, target: P, held: ExitStack) -> bool:
        """Makes a folder ours until ``held`` is closed, ending a swap that was cut short; True where one was.

        Raises:
            OutputError: another job has it, or it holds files of others.
        """

    @abstractmethod
    def take_build(self, target: P, held: ExitStack) -> None:
        """Makes the folder ours in which the output grows that is to replace ``target``."""

    @abstractmethod
    def join(self, root: P, held: ExitStack) -> None:
        """Takes part in the work at a folder that another process has taken."""

    @abstractmethod
    def prepare(self, layout: Layout[P], plan: dict[str, Any]) -> None:
        """Puts the plan in place where there is none, and clears away attempts."""

    @abstractmethod
    def keep_only(self, layout: Layout[P], kept: Collection[P]) -> None:
        """Removes what was published and not recorded, where it would stand in the way of what is published next.

        Args:
            kept: parts, records and quarantined rows that count.
        """

    @abstractmethod
    def reopen(self, layout: Layout[P]) -> None:
        """Takes ``_SUCCESS`` away, since there is something to do again."""

    @abstractmethod
    def finish(self, layout: Layout[P], success: dict[str, Any]) -> None:
        """Clears away attempts and writes ``_SUCCESS``."""

    @abstractmethod
    def empty(self, layout: Layout[P]) -> None:
        """Removes everything but what keeps the folder ours, the marks of completeness first."""

    @abstractmethod
    def swap_into_place(self, target: P) -> None:
        """Puts the finished build in the place of ``target``; the old output goes only then."""

    @abstractmethod
    def drafts(self, layout: Layout[P]) -> Path:
        """A local folder in which attempts are written."""

    @abstractmethod
    def publish(self, draft: Path, place: P) -> None:
        """Puts a whole local file in place, and removes it here."""

    @abstractmethod
    def record(self, place: P, value: Any) -> None:
        """Writes the record of something that was published."""

    @abstractmethod
    def write_json(self, place: P, value: Any) -> None:
        """Writes JSON, whatever was there."""

    @abstractmethod
    def read(self, place: P) -> bytes:
        """A small file's content. Raises FileNotFoundError."""

    @abstractmethod
    def read_all(self, folder: P) -> dict[str, bytes]:
        """The content of each file of a folder of small ones, by name."""

    @abstractmethod
    def sizes(self, folder: P) -> dict[str, int]:
        """The files right below a folder: name and bytes."""

    @abstractmethod
    def names(self, folder: P) -> list[str]:
        """All names right below a folder, sorted; none where there is no folder."""

    @abstractmethod
    def exists(self, place: P) -> bool:
        """Whether there is a file or a folder."""

    @abstractmethod
    def remove_unrecorded(self, place: P) -> None:
        """Removes what an attempt has published that was never recorded, where :meth:`keep_only` leaves such things."""

    @abstractmethod
    def local_copy(self, place: P) -> AbstractContextManager[Path]:
        """A file as a local one, for as long as the context lasts."""
