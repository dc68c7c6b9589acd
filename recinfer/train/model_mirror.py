"""A model folder in an object store: training works at a local one, and what it saves there is uploaded as it comes."""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import replace

from recinfer.data.files import output_errors
from recinfer.data.storage.clients import client_of
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.transfer import download, files_below
from recinfer.env import read_environment
from recinfer.train.checkpoint_folders import NAME, RESULTS, checkpoints, remote_checkpoints
from recinfer.train.remote_checkpoints import delete_checkpoint, fetch_newest, put_checkpoint
from recinfer.train.reports import TrainReport

logger = logging.getLogger(__name__)


class ModelMirror:
    """The local folder of a remote one. All ranks of one machine find the same; rank 0 alone pulls and pushes.

    Args:
        place: ``model_dir``.
        keep: complete checkpoints to keep in the store; 0 keeps all.
    """

    def __init__(self, place: RemotePath, keep: int) -> None:
        name = hashlib.sha256(str(place).encode()).hexdigest()[:16]
        self.place = place
        self.folder = read_environment().cache_home.expanduser() / "recinfer" / "training" / name
        self._keep = keep
        self._seen: dict[str, tuple[int, int]] = {}

    def pull(self) -> None:
        """Empties the local folder and brings the latest complete checkpoint and the recorded results into it.

        Raises:
            OutputError: the store fails.
        """
        if self.folder.exists():
            for entry in self.folder.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        with output_errors(self.place):
            client = client_of(self.place)
            found = fetch_newest(remote_checkpoints(self.place))
            files = {}
            if found is not None:
                below = files_below(client, self.place / found.name)
                files = {f"{found.name}/{name}": info for name, info in below.items()}
            results = client.info((self.place / RESULTS).key)
            download(client, files | ({RESULTS: results} if results else {}), self.folder)
        if found is not None:
            self._seen[found.name] = (0, 0)
            logger.info("%s: going on from %s", self.place, found.name)

    def push(self) -> None:
        """Uploads what is new, checkpoints first, and deletes the store's old checkpoints.

        Raises:
            OutputError: the store does not take it.
        """
        with output_errors(self.place):
            for checkpoint in checkpoints(self.folder):
                if checkpoint.name not in self._seen:
                    put_checkpoint(checkpoint, self.place / checkpoint.name)
                    self._seen[checkpoint.name] = (0, 0)
            self._push_files()
            for old in remote_checkpoints(self.place)[: -self._keep] if self._keep else []:
                delete_checkpoint(old)

    def _push_files(self) -> None:
        """Uploads changed files that are no checkpoints: results, summaries, the config."""
        client = client_of(self.place)
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder)
            if not path.is_file() or name.parts[0].startswith(".") or NAME.fullmatch(name.parts[0]):
                continue
            state = path.stat()
            if self._seen.get(str(name)) != (state.st_size, state.st_mtime_ns):
                client.write_from((self.place / name.as_posix()).key, path)
                self._seen[str(name)] = (state.st_size, state.st_mtime_ns)

    def at_home(self, report: TrainReport) -> TrainReport:
        """The report with checkpoints where they are to be found."""
        resumed = report.resumed_from
        return replace(
            report,
            checkpoint=self.place / report.checkpoint.name,
            resumed_from=self.place / resumed.name if resumed is not None else None,
        )
