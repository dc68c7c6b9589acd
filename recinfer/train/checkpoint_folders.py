"""The checkpoints of a model folder: which are complete, the latest, the best, and which to delete."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from recinfer.data.storage.clients import client_of
from recinfer.data.storage.remote_path import RemotePath, is_remote, parse_remote
from recinfer.errors import ModelError
from recinfer.train.checkpoint_parts import discard, flaw
from recinfer.train.remote_checkpoints import fetch_beside, fetch_checkpoint, fetch_newest, folders, is_checkpoint

logger = logging.getLogger(__name__)
NAME = re.compile(r"model\.ckpt-(\d+)")
RESULTS = "eval_results.jsonl"


def step_of(checkpoint: Path | RemotePath) -> int:
    """The step in a checkpoint folder's name; 0 where it has none."""
    match = NAME.fullmatch(checkpoint.name)
    return int(match[1]) if match else 0


def checkpoints(model_dir: str | Path) -> list[Path]:
    """The complete checkpoints of a model folder, oldest step first."""
    return [path for path in _named(model_dir) if flaw(path) is None]


def latest(model_dir: str | Path) -> Path:
    """The checkpoint of the highest step that is complete; a warning names those after it that are not.

    Raises:
        ModelError: there is none; says what the folder holds.
    """
    found = newest(model_dir)
    if found is None:
        raise ModelError(
            f"no complete checkpoint in {model_dir}: {_content(model_dir)}",
            "train first, or name the folder that holds model.ckpt-<step>",
        )
    return found


def newest(model_dir: str | Path) -> Path | None:
    """As :func:`latest`, but None where there is none."""
    if is_remote(model_dir):
        with _reading(model_dir):
            return fetch_newest(remote_checkpoints(parse_remote(str(model_dir))))
    for path in reversed(_named(model_dir)):
        reason = flaw(path)
        if reason is None:
            return path
        logger.warning("%s is incomplete, and passed over: %s", path, reason)
    return None


def best(model_dir: str | Path, metric: str, larger_is_better: bool = True) -> Path:
    """The checkpoint with the best recorded value of a metric; the later one of equals.

    Raises:
        ModelError: no checkpoint that is still there has that metric.
    """
    results = {result["step"]: result["metrics"] for result in read_results(model_dir)}
    with _reading(model_dir):
        found: Sequence[Any] = _complete_remote(model_dir) if is_remote(model_dir) else checkpoints(model_dir)
    scored: list[tuple[float, int, Any]] = []
    for path in found:
        value = results.get(step_of(path), {}).get(metric)
        if value is not None and not math.isnan(value):
            scored.append((value if larger_is_better else -value, step_of(path), path))
    if not scored:
        known = sorted({name for metrics in results.values() for name in metrics})
        raise ModelError(
            f"no checkpoint in {model_dir} has a recorded {metric!r}",
            f"recorded are: {', '.join(known)}" if known else "evaluate during training, or ask for the latest",
        )
    chosen = max(scored, key=lambda each: each[:2])[2]
    return chosen if isinstance(chosen, Path) else find_checkpoint(str(chosen))


def find_checkpoint(path: str | Path) -> Path:
    """A checkpoint from what a user names: the folder ``model.ckpt-<step>`` itself, or a model folder (its latest).

    Raises:
        ModelError: neither.
    """
    if is_remote(path):
        return _find_remote(path)
    folder = Path(path)
    if (folder / "model").is_dir():
        reason = flaw(folder)
        if reason is not None:
            raise ModelError(f"the checkpoint {folder} is incomplete: {reason}", "copy it again, or use an earlier one")
        return folder
    return latest(folder)


def _find_remote(path: str | Path) -> Path:
    place = parse_remote(str(path))
    with _reading(path):
        if not is_checkpoint(place):
            return latest(path)
        folder = fetch_checkpoint(place)
    reason = flaw(folder)
    if reason is not None:
        raise ModelError(f"the checkpoint {path} is incomplete: {reason}", "copy it again, or use an earlier one")
    return folder


def remote_checkpoints(model_dir: RemotePath) -> list[RemotePath]:
    """What is called like a checkpoint in a store, complete or not, oldest step first.

    Raises:
        OSError: the store fails.
    """
    found = folders(client_of(model_dir), model_dir)
    return sorted((place for place in found if NAME.fullmatch(place.name)), key=step_of)


def _complete_remote(model_dir: str | Path) -> list[RemotePath]:
    return [place for place in remote_checkpoints(parse_remote(str(model_dir))) if is_checkpoint(place)]


@contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    """Turns a store's errors into a ModelError that names the path."""
    try:
        yield
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}", getattr(error, "hint", None)) from error


def _named(model_dir: str | Path) -> list[Path]:
    """What is called like a checkpoint, complete or not, oldest step first."""
    folder = Path(model_dir)
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.is_dir() and NAME.fullmatch(path.name)), key=step_of)


def record_results(model_dir: str | Path, step: int, metrics: dict[str, float]) -> None:
    """Appends the metrics of a checkpoint to the model folder's list, one JSON object a line."""
    finite = {name: None if math.isnan(value) else value for name, value in metrics.items()}
    with (Path(model_dir) / RESULTS).open("a") as stream:
        stream.write(json.dumps({"step": step, "metrics": finite}) + "\n")


def read_results(model_dir: str | Path) -> list[dict[str, Any]]:
    """What :func:`record_results` wrote; a last line cut off by a kill is left out."""
    path = Path(model_dir) / RESULTS
    if is_remote(model_dir):
        with _reading(model_dir):
            copy = fetch_beside(parse_remote(str(model_dir)), RESULTS)
        if copy is None:
            return []
        path = copy
    if not path.is_file():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


def delete_old(model_dir: str | Path, keep: int) -> list[Path]:
    """Deletes all complete checkpoints but the ``keep`` of the highest steps, and says which; 0 keeps all."""
    old = checkpoints(model_dir)[:-keep] if keep else []
    for path in old:
        discard(path)
    return old


def _content(model_dir: str | Path) -> str:
    if is_remote(model_dir):
        place = parse_remote(str(model_dir))
        held = sorted(each.name for each in folders(client_of(place), place))
        return f"its folders are {', '.join(held[:10])}" if held else "there is nothing, or nothing but files"
    folder = Path(model_dir)
    if not folder.exists():
        return "the folder does not exist" + ("" if folder.is_absolute() else f" in {Path.cwd()}")
    if not folder.is_dir():
        return "it is not a folder"
    names = sorted(path.name for path in folder.iterdir())
    return f"it holds {', '.join(names[:10])}" if names else "it is empty"
