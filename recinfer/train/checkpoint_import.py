"""Turns a checkpoint from elsewhere into one of the config's model, or leaves nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from recinfer.config.nearest import name_hint
from recinfer.errors import ModelError, OutputError, UsageError
from recinfer.train.checkpoint import Position, publish, read_position
from recinfer.train.checkpoint_fit import check_fit
from recinfer.train.checkpoint_folders import NAME, find_checkpoint, step_of
from recinfer.train.checkpoint_parts import PLAN, discard, flaw, tensors_flaw
from recinfer.train.checkpoint_storage import INDEX, read_all, read_index, write_tensors
from recinfer.train.import_names import rename
from recinfer.train.import_report import ImportReport, nearest_names
from recinfer.train.moving_average import UPDATES
from recinfer.train.optimizer_state import split_key, table_of

State = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Source:
    """A checkpoint from elsewhere.

    Attributes:
        folder: the whole checkpoint, or just a ``torch.distributed.checkpoint`` folder of the model.
        model: the folder of the model's tensors.
        stored: name -> (shape, type) of its tensors; None for an entry that is none.
        position: where its training stood.
    """

    folder: Path
    model: Path
    stored: dict[str, tuple[tuple[int, ...], torch.dtype] | None]
    position: Position

    def part(self, name: str) -> Path | None:
        """A part beside the model, if there is one."""
        folder = self.folder / name
        return folder if self.folder != self.model and folder.is_dir() else None


def open_source(path: Path) -> Source:
    """Finds and checks a checkpoint: ``model.ckpt-<step>``, a folder of such, or a bare folder of tensors.

    Raises:
        ModelError: there is none, or something of it is missing.
    """
    bare = (path / INDEX).is_file()
    folder = path if bare else find_checkpoint(path)
    reason = tensors_flaw(folder) if bare else None
    if reason is not None:
        raise ModelError(f"the checkpoint {folder} is incomplete: {reason}", "copy it again")
    model = folder if bare else folder / "model"
    stored = {
        name: (tuple(entry.size), entry.properties.dtype) if isinstance(entry, TensorStorageMetadata) else None
        for name, entry in read_index(model).state_dict_metadata.items()
    }
    return Source(folder, model, stored, Position(step_of(folder)) if bare else read_position(folder))


def target_of(folder: Path, step: int) -> Path:
    """``folder/model.ckpt-<step>``, or the folder itself if it is called like a checkpoint."""
    return folder if NAME.fullmatch(folder.name) else folder / f"model.ckpt-{step}"


def convert(
    source: Source,
    target: Path,
    state: State,
    pairs: Sequence[tuple[str, str]] = (),
    *,
    drop_unexpected: bool = False,
    cast: bool = False,
    overwrite: bool = False,
) -> ImportReport:
    """Writes ``source`` as a checkpoint of the model that ``state`` is of.

    The model's tensors are in memory once.

    Args:
        target: the checkpoint folder to write; appears when it is complete.
        state: name -> tensor of the model, names as in checkpoints; only shapes and types are read.
        pairs: (old, new) names, as :func:`recinfer.train.import_names.read_pairs` reads them.
        drop_unexpected: leave out what the model does not have.
        cast: change floating-point types to the model's.
        overwrite: replace ``target``.

    Raises:
        DoesNotFitError: names, shapes or types are not the model's; nothing is written.
        UsageError: a pair names what is not there.
        OutputError: the target is there already, or cannot be written.
    """
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists", "choose another folder, or give --overwrite")
    if target.exists() and target.resolve() == source.folder.resolve():
        raise UsageError(f"{target} is the checkpoint to import", "choose another folder")
    sources = rename(pairs, source.stored)
    report = ImportReport(str(source.folder), str(target), step_of(target))
    _compare(source, sources, state, report, drop_unexpected, cast)
    for _, new in pairs:
        if not new.endswith("*") and new not in state:
            hint = name_hint(new, report.missing or state, "names")
            raise UsageError(f"--map names {new!r}, which is not in the model", hint)
    report.check()
    _write(source, target, {name: sources[name] for name in state}, state, report)
    report.imported = True
    return report


def _compare(
    source: Source, sources: Mapping[str, str], state: State, report: ImportReport, drop: bool, cast: bool
) -> None:
    """Fills in the report's names, shapes and types."""
    stored = source.stored
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    missing = [name for name in state if name not in sources]
    used = {sources[name] for name in state if name in sources}
    # By the name that it would have in the model, which is what names of the model are like.
    would_be = {old: new for new, old in sources.items()}
    unexpected = {would_be.get(old, old): old for old in stored if old not in used}
    theirs = {name: entry[0] if (entry := stored[old]) else None for name, old in unexpected.items()}
    near = nearest_names(missing, theirs, shapes)
    report.missing = {name: unexpected.get(other, "") for name, other in near.items()}
    if drop:
        report.dropped = sorted(unexpected.values())
    else:
        near = nearest_names(unexpected, {name: shapes[name] for name in missing}, theirs)
        report.unexpected = {unexpected[name]: other for name, other in near.items()}
    for name in state.keys() & sources.keys():
        old, ours = stored[sources[name]], state[name]
        if name != sources[name]:
            report.renamed[name] = sources[name]
        if old is None or old[0] != shapes[name]:
            found = "no tensor" if old is None else str(old[0])
            report.wrong_shape[name] = f"{found} in the checkpoint, {shapes[name]} in the model"
        elif old[1] != ours.dtype:
            types = f"{_type(old[1])} in the checkpoint, {_type(ours.dtype)} in the model"
            castable = cast and old[1].is_floating_point and ours.is_floating_point()
            (report.cast if castable else report.wrong_dtype)[name] = types
    report.tensors = len(state)
    report.bytes = sum(tensor.numel() * tensor.element_size() for tensor in state.values())


def _write(source: Source, target: Path, sources: Mapping[str, str], state: State, report: ImportReport) -> None:
    """Writes all parts under another name, reads their indexes again, and only then gives them the target's."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        discard(draft)
        draft.mkdir(parents=True)
        tensors = read_all(source.model, set(sources.values()))
        ours = {name: tensors[old].to(state[name].dtype) for name, old in sources.items()}
        write_tensors(draft / "model", ours)
        del tensors, ours
        _write_optimizer(source.part("optimizer"), draft / "optimizer", sources, state, report)
        _write_averages(source.part("ema"), draft / "ema", sources, report)
        plan = source.folder / PLAN
        keep = plan.is_file() and source.folder != source.model and not report.renamed
        (draft / PLAN).write_text(plan.read_text(encoding="utf-8") if keep else "{}", encoding="utf-8")
        check_fit(read_index(draft / "model"), state, str(draft))
        publish(draft, target, replace(source.position, step=step_of(target)))
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error}", "choose another folder, or make room") from error
    finally:
        discard(draft)
    reason = flaw(target)
    if reason is not None:
        raise OutputError(f"{target} was written and is not whole: {reason}", "look after the disk, and import again")


def _write_optimizer(
    folder: Path | None, target: Path, sources: Mapping[str, str], state: State, report: ImportReport
) -> None:
    """Takes over the state of the parameters that the model has, under their names there."""
    if folder is None:
        return
    new_names = _inverse(sources)
    wanted: dict[str, str] = {}
    for key, entry in read_index(folder).state_dict_metadata.items():
        old, rest = split_key(key, new_names)
        # Bounds what is read into memory: no optimizer keeps more for a parameter in one entry than its size.
        fits = isinstance(entry, TensorStorageMetadata) and bool(old)
        if not fits or entry.size.numel() > max(1, state[new_names[old][0]].numel()):  # type: ignore[union-attr]
            report.optimizer_dropped.append(key)
            continue
        for new in new_names[old]:
            inside = rest.removeprefix(f"{table_of(old)}.")
            wanted[f"state.{new}.{rest if inside == rest else f'{table_of(new)}.{inside}'}"] = key
    tensors = read_all(folder, set(wanted.values()))
    write_tensors(target, {key: tensors[old] for key, old in wanted.items()})
    report.optimizer = len(wanted)


def _write_averages(folder: Path | None, target: Path, sources: Mapping[str, str], report: ImportReport) -> None:
    """Takes over the moving averages of the parameters that the model has."""
    if folder is None:
        return
    new_names = _inverse(sources) | {UPDATES: [UPDATES]}
    tensors = read_all(folder, new_names)
    found: dict[str, Any] = {new: tensor for old, tensor in tensors.items() for new in new_names[old]}
    write_tensors(target, found)
    report.averages = len(found.keys() - {UPDATES})


def _inverse(sources: Mapping[str, str]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for new, old in sources.items():
        out.setdefault(old, []).append(new)
    return out


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
