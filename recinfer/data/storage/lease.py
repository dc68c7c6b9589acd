"""One job per folder of an object store: a numbered lease that its holder renews while it lives.

``_recinfer/lease/<number>.json`` belongs to one job. A job takes the folder by creating the object of the next number,
which the store lets only one do, after the last one was released or has not been renewed for :data:`LASTS` seconds by
the store's own clock. Numbers are never used twice, so a job that slept through the loss of its lease sees a higher
number before it publishes anything, and stops.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

from recinfer.data.layout import CONTROL
from recinfer.data.storage.client import ObjectClient, ObjectInfo
from recinfer.data.storage.processes import machine_name, process_is_gone
from recinfer.data.storage.remote_path import RemotePath
from recinfer.errors import OutputError

logger = logging.getLogger(__name__)

LEASE = "lease"
BEAT = 15.0
LASTS = 60.0


@dataclass(frozen=True)
class Holder:
    """The lease of the highest number: its number and what it says."""

    number: int
    info: ObjectInfo
    note: dict[str, Any]

    @property
    def described(self) -> str:
        return f"pid {self.note.get('pid', '?')} on {self.note.get('host', '?')}, since {self.note.get('since', '?')}"


class Lease:
    """This job's hold on a folder; :meth:`take` or :meth:`join` makes one."""

    def __init__(self, client: ObjectClient, folder: RemotePath, number: int) -> None:
        self._client = client
        self._folder = folder
        self._prefix = _prefix(folder)
        self.number = number
        self._note: dict[str, Any] = {}
        self._stop = threading.Event()
        self._beats: threading.Thread | None = None

    @classmethod
    def take(cls, client: ObjectClient, folder: RemotePath) -> Lease:
        """Takes a folder, and renews the lease until :meth:`release`.

        Raises:
            OutputError: another job has it; names that job.
        """
        last = find_holder(client, folder)
        if last is not None and not last.note.get("released"):
            _check_gone(client, folder, last)
        lease = cls(client, folder, last.number + 1 if last else 1)
        lease._note = _own_note()
        try:
            client.create(lease._key(lease.number), _text(lease._note))
        except FileExistsError as error:
            raise OutputError(
                f"{folder} was taken by another job just now", "wait for it to end, or stop it"
            ) from error
        client.delete([lease._key(number) for number in _numbers(client, lease._prefix) if number < lease.number])
        lease._beats = threading.Thread(target=lease._renew, name="lease", daemon=True)
        lease._beats.start()
        return lease

    @classmethod
    def join(cls, client: ObjectClient, folder: RemotePath) -> Lease:
        """The lease that another process of the same job holds, to check it."""
        return cls(client, folder, max(_numbers(client, _prefix(folder)), default=0))

    def check(self) -> None:
        """Raises OutputError where another job has taken the folder."""
        highest = max(_numbers(self._client, self._prefix), default=0)
        if highest != self.number:
            holder = find_holder(self._client, self._folder)
            raise OutputError(
                f"{self._folder} was taken over by another job"
                + (f" ({holder.described})" if holder else "")
                + f": this one had given no sign of life for {LASTS:.0f} s",
                "let that job finish",
            )

    def release(self) -> None:
        """Lets others have the folder; safe to call twice."""
        if self._beats is None:
            return
        self._stop.set()
        self._beats.join()
        self._beats = None
        try:
            self._client.write(self._key(self.number), _text({**self._note, "released": True}))
        except OSError as error:
            logger.warning("%s could not be given back (%s): it is free in %.0f s", self._folder, error, LASTS)

    def _renew(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                self._client.write(self._key(self.number), _text(self._note))
            except OSError as error:
                # Whoever publishes next checks the lease, and fails where it is lost.
                logger.warning("the lease of %s could not be renewed: %s", self._folder, error)

    def _key(self, number: int) -> str:
        return f"{self._prefix}{number:08d}.json"


def find_holder(client: ObjectClient, folder: RemotePath) -> Holder | None:
    """The lease of the highest number, also one that was released; None where there never was one."""
    infos = {number: info for info in client.below(_prefix(folder)) if (number := _number(info.key))}
    if not infos:
        return None
    number = max(infos)
    try:
        note = json.loads(client.read(infos[number].key))
    except FileNotFoundError:
        return find_holder(client, folder)
    except ValueError:
        note = {}
    return Holder(number, infos[number], note if isinstance(note, dict) else {})


def _check_gone(client: ObjectClient, folder: RemotePath, last: Holder) -> None:
    """Raises OutputError unless the holder has died: seen on this machine, or by its silence."""
    if process_is_gone(last.note):
        logger.warning("%s: taking over from %s, which has ended", folder, last.described)
        return
    silence = _store_time(client, folder) - last.info.changed
    if silence > LASTS:
        logger.warning("%s: taking over from %s, silent for %.0f s", folder, last.described, silence)
        return
    raise OutputError(
        f"{folder} is in use by another job ({last.described}; last sign of life {max(silence, 0):.0f} s ago)",
        f"wait for it to end, or stop it; a job that was killed counts as dead {LASTS:.0f} s after its last sign",
    )


def _store_time(client: ObjectClient, folder: RemotePath) -> float:
    """What the store's clock says, so that clocks of machines need not agree."""
    key = f"{_prefix(folder)}clock-{uuid.uuid4().hex[:8]}"
    client.write(key, b"")
    try:
        info = client.info(key)
        return info.changed if info else time.time()
    finally:
        client.delete([key])


def _own_note() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "machine": machine_name(),
        "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "token": uuid.uuid4().hex,
    }


def _prefix(folder: RemotePath) -> str:
    return f"{(folder / CONTROL / LEASE).key}/"


def _numbers(client: ObjectClient, prefix: str) -> list[int]:
    return [number for info in client.below(prefix) if (number := _number(info.key))]


def _number(key: str) -> int:
    """A lease's number; 0 for other objects."""
    name = key.rpartition("/")[2].removesuffix(".json")
    return int(name) if name.isdecimal() else 0


def _text(note: dict[str, Any]) -> bytes:
    return json.dumps(note, indent=1).encode()
