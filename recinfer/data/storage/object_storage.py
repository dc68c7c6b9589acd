"""Output folders in object stores: parts are created, never overwritten, and a lease makes a folder ours."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from recinfer.data.files import json_text
from recinfer.data.layout import CONTROL, Layout
from recinfer.data.storage.base import Storage
from recinfer.data.storage.client import ObjectClient
from recinfer.data.storage.lease import LEASE, Lease
from recinfer.data.storage.object_swap import end_swap, is_cut, remove_all, swap
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.scratch import Scratch
from recinfer.data.storage.store_error import StoreError
from recinfer.errors import OutputError

RIVAL = "see which other job works at this folder, and stop one of the two"


class ObjectStorage(Storage[RemotePath]):
    """Folders of one bucket.

    A store has no renames. So an attempt is written to local scratch space, and its upload, which shows nothing before
    it is whole, is its publication. Only what is recorded counts: a part without a record goes away at the next start.
    """

    def __init__(self, client: ObjectClient) -> None:
        self._client = client
        self._lease: Lease | None = None
        self._scratch: Scratch | None = None

    def take(self, target: RemotePath, held: ExitStack) -> bool:
        if not target.key:
            raise OutputError(f"{target} is a whole bucket", "name a folder in it")
        if not is_cut(self._client, target):
            self._refuse_foreign(Layout(target))
        self._hold(Lease.take(self._client, target), held)
        return end_swap(self._client, target)

    def take_build(self, target: RemotePath, held: ExitStack) -> None:
        """The lease of the target covers the folder beside it."""

    def join(self, root: RemotePath, held: ExitStack) -> None:
        self._hold(Lease.join(self._client, root), held)

    def prepare(self, layout: Layout[RemotePath], plan: dict[str, Any]) -> None:
        remove_all(self._client, layout.attempts)
        if not self.exists(layout.plan):
            self.write_json(layout.plan, plan)

    def keep_only(self, layout: Layout[RemotePath], kept: Collection[RemotePath]) -> None:
        self._client.drop_uploads(f"{layout.root.key}/part-")
        keys = {place.key for place in kept}
        for folder in (layout.units, layout.root, layout.quarantine):
            found = [folder / name for name in self.sizes(folder)]
            if folder == layout.root:
                found = [place for place in found if place.name.startswith("part-")]
            self._client.delete([place.key for place in found if place.key not in keys])

    def reopen(self, layout: Layout[RemotePath]) -> None:
        self._client.delete([layout.success.key])

    def finish(self, layout: Layout[RemotePath], success: dict[str, Any]) -> None:
        self._check_lease()
        remove_all(self._client, layout.attempts)
        self.write_json(layout.success, success)

    def empty(self, layout: Layout[RemotePath]) -> None:
        for mark in (layout.swap, layout.success, layout.plan):
            self._client.delete([mark.key])
        remove_all(self._client, layout.root, keep=layout.control / LEASE)

    def swap_into_place(self, target: RemotePath) -> None:
        self._check_lease()
        swap(self._client, target)

    def drafts(self, layout: Layout[RemotePath]) -> Path:
        assert self._scratch is not None, "the folder was neither taken nor joined"
        return self._scratch.path

    def publish(self, draft: Path, place: RemotePath) -> None:
        self._check_lease()
        try:
            self._client.create_from(place.key, draft)
        except FileExistsError as error:
            raise StoreError(f"other content is there already, at {place}", RIVAL) from error
        draft.unlink()

    def record(self, place: RemotePath, value: Any) -> None:
        content = json_text(value).encode()
        try:
            self._client.create(place.key, content)
        except FileExistsError as error:
            if self._client.read(place.key) != content:
                raise StoreError(f"another job has recorded this unit, at {place}", RIVAL) from error

    def write_json(self, place: RemotePath, value: Any) -> None:
        self._client.write(place.key, json_text(value).encode())

    def read(self, place: RemotePath) -> bytes:
        return self._client.read(place.key)

    def read_all(self, folder: RemotePath) -> dict[str, bytes]:
        keys = [(folder / name).key for name in self.sizes(folder)]
        return {key.rpartition("/")[2]: content for key, content in self._client.read_all(keys).items()}

    def sizes(self, folder: RemotePath) -> dict[str, int]:
        objects, _ = self._client.entries(f"{folder.key}/")
        return {info.key.rpartition("/")[2]: info.size for info in objects}

    def names(self, folder: RemotePath) -> list[str]:
        objects, folders = self._client.entries(f"{folder.key}/")
        return sorted([*(info.key.rpartition("/")[2] for info in objects), *folders])

    def exists(self, place: RemotePath) -> bool:
        return self._client.info(place.key) is not None or bool(self.names(place))

    def remove_unrecorded(self, place: RemotePath) -> None:
        """Nothing: it went when the folder was taken."""

    @contextmanager
    def local_copy(self, place: RemotePath) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="recinfer-") as folder:
            path = Path(folder) / place.name
            self._client.download(place.key, path)
            yield path

    def _hold(self, lease: Lease, held: ExitStack) -> None:
        held.callback(lease.release)
        self._lease = lease
        self._scratch = Scratch()
        held.callback(self._scratch.close)

    def _check_lease(self) -> None:
        assert self._lease is not None, "the folder was neither taken nor joined"
        self._lease.check()

    def _refuse_foreign(self, layout: Layout[RemotePath]) -> None:
        if self._client.info(layout.root.key) is not None:
            raise OutputError(f"output {layout.root} is a file", "name a folder")
        others = [name for name in self.names(layout.root) if name != CONTROL]
        if others and self._client.info(layout.plan.key) is None:
            raise OutputError(
                f"{layout.root} holds files that recinfer has not written, such as {others[0]}",
                "choose an empty or new folder",
            )
