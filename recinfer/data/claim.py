"""Takes an output folder for one job: finds out what is there, locks it, and decides where the parts will grow."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from recinfer.data.files import output_errors
from recinfer.data.layout import Layout
from recinfer.data.plan import Plan, load_plan
from recinfer.data.plan_difference import plan_differences
from recinfer.data.storage import AnyPlace, Storage, place_of, storage_of
from recinfer.data.storage.remote_path import RemotePath
from recinfer.data.storage.store_error import StoreError
from recinfer.data.swap import build_folder
from recinfer.errors import InputError, OutputError, PlanMismatchError


@dataclass
class Claim:
    """A folder that is ours for now.

    Attributes:
        target: where the output is to be.
        root: where its parts grow: ``target`` itself, or the folder beside it that will replace it.
        storage: what keeps it.
        held: gives it back when closed.
    """

    target: AnyPlace
    root: AnyPlace
    storage: Storage[Any]
    held: ExitStack


def claim_folder(path: str | os.PathLike[str], plan: Plan, resume: bool, overwrite: bool) -> Claim:
    """Claims an output folder; the plan lies in it afterwards, and leftovers of unfinished attempts are gone.

    Raises:
        OutputError: it cannot be written, is in use, holds files of others, lies in the input, or must not be resumed.
        PlanMismatchError: it holds the output of another plan, and ``overwrite`` is False.
    """
    target = place_of(path)
    check_apart(target, plan)
    with ExitStack() as held, output_errors(target):
        storage = storage_of(target)
        swapped = storage.take(target, held)
        root = _choose_root(storage, target, plan, resume, overwrite, swapped)
        if root != target:
            storage.take_build(target, held)
            if not resume or _differences(root, plan, lenient=True):
                storage.empty(Layout(root))
        storage.prepare(Layout(root), plan.to_json())
        return Claim(target, root, storage, held.pop_all())


def previous_plan(path: str | os.PathLike[str], overwrite: bool = False) -> Plan | None:
    """The plan that a run on this folder would continue, for ``make_plan(previous=...)``; None where there is none.

    Raises:
        OutputError: a store does not let us look.
    """
    target = place_of(path)
    for folder in (build_folder(target), target) if overwrite else (target,):
        try:
            plan = load_plan(Layout(folder).plan)
        except (InputError, PlanMismatchError) as error:
            if isinstance(error.__cause__, StoreError):
                raise OutputError(f"cannot write {target}: {error.__cause__}", error.hint) from error
            continue
        if plan is not None:
            return plan
    return None


def check_apart(target: AnyPlace, plan: Plan) -> None:
    """Raises OutputError where output and input lie within each other."""
    inputs = [_of_input(file.path) for file in plan.inputs]
    for folder in [*map(_of_input, plan.input_folders), *inputs]:
        if target == folder or folder in target.parents:
            raise OutputError(
                f"output {target} lies in the input {folder}", "choose an output folder outside the input"
            )
    for file in inputs:
        if target in file.parents:
            raise OutputError(f"input {file} lies in the output folder {target}", "choose another output folder")


def _of_input(path: str) -> AnyPlace:
    place = place_of(path)
    return replace(place, query="") if isinstance(place, RemotePath) else place


def _choose_root(
    storage: Storage[Any], target: AnyPlace, plan: Plan, resume: bool, overwrite: bool, swapped: bool
) -> AnyPlace:
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
    build = build_folder(target)
    if differences is None and not storage.exists(build):
        return target
    if differences == [] and swapped:
        # The job that was cut short had put this very output in place: only the cleaning was left to do.
        return target
    unfinished = differences == [] and not storage.exists(Layout(target).success)
    return target if unfinished and resume and not storage.exists(build) else build


def _differences(folder: AnyPlace, plan: Plan, lenient: bool) -> list[str] | None:
    """What the folder's plan does not share with ours; None where it has no plan."""
    try:
        stored = load_plan(Layout(folder).plan)
    except (InputError, PlanMismatchError):
        if lenient:
            return ["its plan cannot be read"]
        raise
    return None if stored is None else plan_differences(stored, plan)
