"""Output folders on a file system: renames put files in place, fsync keeps them, flock makes a folder ours."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from recinfer.data.files import sync_folder, write_json
from recinfer.data.layout import CONTROL, Layout
from recinfer.data.lock import FolderLock, MemberLock, check_no_members
from recinfer.data.storage.base import Storage
from recinfer.data.swap import build_folder, clean_up, end_cut_swap, is_cut_between_renames, swap_into_place
from recinfer.errors import OutputError


class LocalStorage(Storage[Path]):
    """Folders of this machine, or of a file system that machines share."""

    def take(self, target: Path, held: ExitStack) -> bool:
        if is_cut_between_renames(target):
            held.callback(FolderLock(Layout(build_folder(target)).lock, target).release)
            end_cut_swap(target)
        else:
            _take(target, held)
        return clean_up(target)

    def take_build(self, target: Path, held: ExitStack) -> None:
        if os.path.ismount(target):
            raise OutputError(f"{target} is a mount point, which cannot be swapped", "name a folder below it")
        _take(build_folder(target), held)

    def join(self, root: Path, held: ExitStack) -> None:
        held.callback(MemberLock(Layout(root).members).release)

    def prepare(self, layout: Layout[Path], plan: dict[str, Any]) -> None:
        layout.units.mkdir(exist_ok=True)
        if layout.attempts.exists():
            shutil.rmtree(layout.attempts)
        if not layout.success.exists():
            layout.attempts.mkdir()
        if not layout.plan.exists():
            write_json(layout.plan, plan)

    def keep_only(self, layout: Layout[Path], kept: Collection[Path]) -> None:
        """Nothing: a rename replaces what is there."""

    def reopen(self, layout: Layout[Path]) -> None:
        layout.success.unlink()
        sync_folder(layout.root)
        layout.attempts.mkdir(exist_ok=True)

    def finish(self, layout: Layout[Path], success: dict[str, Any]) -> None:
        shutil.rmtree(layout.attempts, ignore_errors=True)
        write_json(layout.success, success)

    def empty(self, layout: Layout[Path]) -> None:
        for mark in (layout.swap, layout.success, layout.plan):
            mark.unlink(missing_ok=True)
        for parent in (layout.control, layout.root):
            for entry in parent.iterdir():
                if entry not in (layout.control, layout.lock):
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()

    def swap_into_place(self, target: Path) -> None:
        swap_into_place(target)

    def drafts(self, layout: Layout[Path]) -> Path:
        return layout.attempts

    def publish(self, draft: Path, place: Path) -> None:
        if not place.parent.exists():
            place.parent.mkdir(exist_ok=True)
            sync_folder(place.parent.parent)
        os.replace(draft, place)
        sync_folder(place.parent)

    def record(self, place: Path, value: Any) -> None:
        write_json(place, value)

    def write_json(self, place: Path, value: Any) -> None:
        write_json(place, value)

    def read(self, place: Path) -> bytes:
        return place.read_bytes()

    def read_all(self, folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}

    def sizes(self, folder: Path) -> dict[str, int]:
        with os.scandir(folder) as entries:
            return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def exists(self, place: Path) -> bool:
        return place.exists()

    def remove_unrecorded(self, place: Path) -> None:
        place.unlink(missing_ok=True)

    @contextmanager
    def local_copy(self, place: Path) -> Iterator[Path]:
        yield place


def _take(folder: Path, held: ExitStack) -> None:
    layout = Layout(folder)
    _refuse_foreign(layout)
    layout.control.mkdir(parents=True, exist_ok=True)
    held.callback(FolderLock(layout.lock, folder).release)
    check_no_members(layout.members, folder)


def _refuse_foreign(layout: Layout[Path]) -> None:
    if not layout.root.exists():
        return
    if not layout.root.is_dir():
        raise OutputError(f"output {layout.root} is a file", "name a folder")
    others = sorted(entry.name for entry in layout.root.iterdir() if entry.name != CONTROL)
    if others and not layout.plan.exists():
        raise OutputError(
            f"{layout.root} holds files that recinfer has not written, such as {others[0]}",
            "choose an empty or new folder",
        )
