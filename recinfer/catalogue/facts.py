"""What the catalogue says of a model."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = "first"
ANY = "any"


@dataclass(frozen=True)
class GroupNeed:
    """A feature group that a model reads.

    Attributes:
        name: ``group_name`` in the config; ``first`` where the model reads the config's first group, whatever its name;
            ``any`` where the model's towers name it.
        type: ``group_type``.
        holds: which features belong there.
        optional: whether the model does without.
    """

    name: str
    type: str
    holds: str
    optional: bool = False

    def __str__(self) -> str:
        names = {FIRST: "the first group", ANY: "each group that a tower names"}
        kind = f"{self.type}, optional" if self.optional else self.type
        return f"{names.get(self.name, self.name)} ({kind}): {self.holds}"


@dataclass(frozen=True)
class StarterGroup:
    """A feature group of a model's smallest config.

    Attributes:
        name, type: as in the config.
        features: its members, names of :data:`recinfer.catalogue.starter.FEATURES`.
    """

    name: str
    type: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class ModelFacts:
    """One model.

    Attributes:
        name: field of ``model_config``, such as ``deepfm``.
        title: how the literature calls it.
        summary: what it is, in one line.
        paper: authors, place and year; "" where there is none.
        link: address of the paper; "" where there is none.
        groups: what it reads.
        starter_groups: the groups of its smallest config.
        starter: its own block there.
        multi_task: whether it has one tower per task.
    """

    name: str
    title: str
    summary: str
    paper: str
    link: str
    groups: tuple[GroupNeed, ...]
    starter_groups: tuple[StarterGroup, ...]
    starter: str
    multi_task: bool = False

    @property
    def citation(self) -> str:
        """Paper and address in one line; "" where there is none."""
        return f"{self.paper}, {self.link}" if self.paper else ""
