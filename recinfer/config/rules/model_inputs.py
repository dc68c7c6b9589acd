"""What the model reads: feature groups by name, and towers that refer to each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.walk import walk

# Fields of model messages, at any depth, that hold the name of a feature group.
_INPUT_FIELDS = {"input", "history_input", "augment_input", "pair_feature_group", "pair_flag_feature_group"}
_RELATION_FIELDS = ("relation_tower_names", "intervention_tower_names")


def inputs_exist(view: ConfigView) -> Iterator[Problem]:
    """Every input of the model is a feature group."""
    if view.model is None:
        return
    known = [group.group_name for group in view.config.model_config.feature_groups]
    for path, message in walk(view.model, f"model_config.{view.model_kind}"):
        for field, name in message.ListFields():
            if field.name in _INPUT_FIELDS and name not in known:
                hint = name_hint(name, known, "feature groups")
                yield Problem(f"{path}.{field.name}", f"feature group `{name}` is not defined", hint)


def tower_names_are_unique(view: ConfigView) -> Iterator[Problem]:
    """No two task towers share a name: predictions are named after them."""
    for name, count in Counter(tower.tower_name for _, tower in view.towers()).items():
        if name and count > 1:
            where = f"model_config.{view.model_kind}.task_towers"
            yield Problem(where, f"tower name `{name}` is used {count} times", "give each tower a name of its own")


def related_towers_exist(view: ConfigView) -> Iterator[Problem]:
    """A tower depends only on towers that stand before it."""
    towers = view.towers()
    known = [tower.tower_name for _, tower in towers]
    for index, (path, tower) in enumerate(towers):
        for field in _RELATION_FIELDS:
            for name in getattr(tower, field, []):
                where = f"{path}.{field}"
                if name not in known:
                    yield Problem(where, f"tower `{name}` is not defined", name_hint(name, known, "towers"))
                elif name not in known[:index]:
                    yield Problem(where, f"tower `{name}` does not stand before `{tower.tower_name}`", "reorder them")
