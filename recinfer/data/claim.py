"""Takes an output folder for one job: finds out what is there, locks it, and decides where the parts will grow."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from recinfer.data.files import output_errors, write_json
from recinfer.data.layout import CONTROL, Layout
from recinfer.data.lock import FolderLock, check_no_members
from recinfer.data.plan import Plan, load_plan
from recinfer.data.plan_difference import plan_differences
from recinfer.data.swap import build_folder, clean_up, end_cut_swap, is_cut_between_renames
from recinfer.errors import InputError, OutputError, PlanMismatchError


@dataclass
class Claim:
    """A folder that is ours for now.

    Attributes:
        target: where the output is to be.
        root: where its parts grow: ``target`` itself, or the folder beside it that will replace it.
        held: releases the locks when closed.
    """

    target: Path
    root: Path
    held: ExitStack


def claim_folder(path: str | os.PathLike[str], plan: Plan, resume: bool, overwrite: bool) -> Claim:
    """Claims an output folder; the plan lies in it afterwards, and leftovers of unfinished attempts are gone.

    Raises:
        OutputError: it cannot be written, is in use, holds files of others, lies in the input, or must not be resumed.
        PlanMismatchError: it holds the output of another plan, and ``overwrite`` is False.
    """
    target = local_folder(path)
    check_apart(target, plan)
    with ExitStack() as held, output_errors(target):
        swapped = _take_target(target, held)
        root = _choose_root(target, plan, resume, overwrite, swapped)
        if root != target:
            if os.path.ismount(target):
                raise OutputError(f"{target} is a mount point, which cannot be swapped", "name a folder below it")
            _take(root, held)
            if not resume or _differences(root, plan, lenient=True):
                _empty(root)
        _prepare(root, plan)
        return Claim(target, root, held.pop_all())


def previous_plan(path: str | os.PathLike[str], overwrite: bool = False) -> Plan | None:
    """The plan that a run on this folder would continue, for ``make_plan(previous=...)``; None where there is none."""
    target = local_folder(path)
    for folder in (build_folder(target), target) if overwrite else (target,):
        try:
            plan = load_plan(Layout(folder).plan)
        except (InputError, PlanMismatchError):
            continue
        if plan is not None:
            return plan
    return None


def local_folder(path: str | os.PathLike[str]) -> Path:
    """The output folder without symbolic links.

    Raises:
        OutputError: it is a URI.
    """
    text = os.fspath(path)
    if "://" in text:
        raise OutputError(
            f"cannot write to {text}: outputs are local folders so far", "write to a local folder and copy it"
        )
    return Path(os.path.realpath(os.path.expanduser(text)))


def check_apart(target: Path, plan: Plan) -> None:
    """Raises OutputError where output and input lie within each other."""
    inputs = [Path(os.path.realpath(file.path)) for file in plan.inputs if "://" not in file.path]
    for folder in [*map(Path, plan.input_folders), *inputs]:
        if target == folder or folder in target.parents:
            raise OutputError(
                f"output {target} lies in the input {folder}", "choose an output folder outside the input"
            )
    for file in inputs:
        if target in file.parents:
            raise OutputError(f"input {file} lies in the output folder {target}", "choose another output folder")


def _take_target(target: Path, held: ExitStack) -> bool:
    """Locks the target, first ending a swap that was cut short; True where one was."""
    if is_cut_between_renames(target):
        held.callback(FolderLock(Layout(build_folder(target)).lock, target).release)
        end_cut_swap(target)
    else:
        _take(target, held)
    return clean_up(target)


def _take(folder: Path, held: ExitStack) -> None:
    layout = Layout(folder)
    _refuse_foreign(layout)
    layout.control.mkdir(parents=True, exist_ok=True)
    held.callback(FolderLock(layout.lock, folder).release)
    check_no_members(layout.members, folder)


def _refuse_foreign(layout: Layout) -> None:
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


def _choose_root(target: Path, plan: Plan, resume: bool, overwrite: bool, swapped: bool) -> Path:
    differences = _differences(target, plan, lenient=overwrite)
    if not overwrite:
        if differences:
            raise PlanMismatchError(
                f"{target} holds the output of another job:\n  " + "\n  ".join(differences),
                "choose another folder, or replace this output with --overwrite",
            )
        if differences is not None and not resume:
            raise OutputError(f"{target} holds output already", "--resume continues it, --overwrite replaces it")
        return target
    if differences is None and not build_folder(target).exists():
        return target
    if differences == [] and swapped:
        # The job that was cut short had put this very output in place: only the cleaning was left to do.
        return target
    unfinished = differences == [] and not Layout(target).success.exists()
    return target if unfinished and resume and not build_folder(target).exists() else build_folder(target)


def _differences(folder: Path, plan: Plan, lenient: bool) -> list[str] | None:
    """What the folder's plan does not share with ours; None where it has no plan."""
    try:
        stored = load_plan(Layout(folder).plan)
    except (InputError, PlanMismatchError):
        if lenient:
            return ["its plan cannot be read"]
        raise
    return None if stored is None else plan_differences(stored, plan)


def _empty(folder: Path) -> None:
    """Removes everything but the lock, the marks of completeness first."""
    layout = Layout(folder)
    for mark in (layout.swap, layout.success, layout.plan):
        mark.unlink(missing_ok=True)
    for parent in (layout.control, folder):
        for entry in parent.iterdir():
            if entry not in (layout.control, layout.lock):
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _prepare(root: Path, plan: Plan) -> None:
    layout = Layout(root)
    layout.units.mkdir(exist_ok=True)
    if layout.attempts.exists():
        shutil.rmtree(layout.attempts)
    if not layout.success.exists():
        layout.attempts.mkdir()
    if not layout.plan.exists():
        write_json(layout.plan, plan.to_json())
