"""What differs between the plan that a folder was begun with and the plan of the job at hand."""

from __future__ import annotations

from typing import Any

from recinfer.data.inputs import change_of_size
from recinfer.data.plan import Plan

SHOWN = 5


def plan_differences(old: Plan, new: Plan) -> list[str]:
    """One line for each thing that changed; empty where both plans make the same output."""
    lines = _input_lines(old, new)
    if old.model != new.model:
        lines.append(f"the model is another one (fingerprint {_short(old.model)} -> {_short(new.model)})")
    if not old.output_schema.equals(new.output_schema):
        lines.append(f"the output schema changed: {_schema_line(old, new)}")
    if old.kind != new.kind:
        lines.append(f"the writer changed: {old.kind} -> {new.kind}")
    if old.scoring_chunk != new.scoring_chunk:
        lines.append(f"the scoring chunk changed: {old.scoring_chunk} -> {new.scoring_chunk}")
    for name in sorted(old.options.keys() | new.options.keys()):
        before, after = old.options.get(name), new.options.get(name)
        if before != after:
            lines.append(f"option {name} changed: {before!r} -> {after!r}")
    if not lines and old.units != new.units:
        lines.append("the same input is cut into other work units")
    return lines


def _input_lines(old: Plan, new: Plan) -> list[str]:
    before = {file.path: file for file in old.inputs}
    after = {file.path: file for file in new.inputs}
    lines = [f"input file removed: {path}" for path in before if path not in after]
    lines += [f"input file added: {path}" for path in after if path not in before]
    for path in before.keys() & after.keys():
        if before[path].fingerprint != after[path].fingerprint:
            lines.append(f"input file changed: {path} ({change_of_size(before[path].size, after[path].size)})")
    if not old.input_schema.equals(new.input_schema):
        lines.append("the input's columns or types changed")
    lines.sort()
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"and {len(lines) - SHOWN} more changes of the input"]


def _schema_line(old: Plan, new: Plan) -> str:
    before = {field.name: str(field.type) for field in old.output_schema}
    after = {field.name: str(field.type) for field in new.output_schema}
    changes: list[str] = [f"without {name}" for name in before if name not in after]
    changes += [f"with {name} ({after[name]})" for name in after if name not in before]
    changes += [
        f"{name} {before[name]} -> {after[name]}" for name in before if name in after and before[name] != after[name]
    ]
    return ", ".join(changes) or "other order of columns"


def _short(fingerprint: Any) -> str:
    return str(fingerprint)[:12] or "none"
