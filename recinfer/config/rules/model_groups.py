"""The feature groups that each model reads, by name or by place, and of which kind they are."""

from __future__ import annotations

from collections.abc import Iterator

from recinfer.config.model_reads import READ_IF_THERE, needed_groups
from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.widths import is_plain
from recinfer.protos.model_pb2 import FeatureGroupType


def needed_groups_exist(view: ConfigView) -> Iterator[Problem]:
    """The groups that a model reads by name are there."""
    known = [group.group_name for group in view.config.model_config.feature_groups]
    for name in needed_groups(view) if known else []:
        if name not in known:
            what = f"`{view.model_kind}` reads a feature group `{name}`, which is not defined"
            yield Problem("model_config.feature_groups", what, name_hint(name, known, "feature groups"))


def groups_read_as_vectors_are_plain(view: ConfigView) -> Iterator[Problem]:
    """What a model reads as one vector per row is a deep or wide group."""
    names = [*needed_groups(view), *READ_IF_THERE.get(view.model_kind or "", ())]
    names += [tower.input for tower in _towers(view)]
    for name in dict.fromkeys(names):
        found = view.group(name)
        if found is not None and not is_plain(found[1]):
            kind = FeatureGroupType.Name(found[1].group_type)
            what = f"`{view.model_kind}` reads group `{name}` as one vector per row, and it is a {kind} group"
            yield Problem(found[0], what, "make it group_type: DEEP, with sequence_groups and an encoder for sequences")


def tower_models_have_towers(view: ConfigView) -> Iterator[Problem]:
    """A model of towers has one, and no two of different shape over one group."""
    if view.model_kind not in ("multi_tower", "multi_tower_din"):
        return
    where = f"model_config.{view.model_kind}"
    towers = _towers(view)
    if not towers and not getattr(view.model, "din_towers", []):
        yield Problem(where, "`towers` is empty", "add one per feature group")
    shapes = {tower.input: tower.mlp for tower in reversed(towers)}
    for index, tower in enumerate(towers):
        if tower.mlp != shapes[tower.input]:
            what = f"two towers of different shape read group `{tower.input}`"
            yield Problem(f"{where}.towers[{index}]", what, "a group has one tower: remove the other")


def _towers(view: ConfigView) -> list:  # type: ignore[type-arg]
    return list(view.model.towers) if view.model_kind in ("multi_tower", "multi_tower_din") else []  # type: ignore[union-attr]
