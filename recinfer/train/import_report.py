"""How a foreign checkpoint compares with the model of a config, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from typing import Any

from recinfer.errors import ModelError

SHOWN = 20
# Nearest names are looked for as long as it takes no time.
COMPARED = 200
LIKE = 0.6


@dataclass
class ImportReport:
    """What an import found and did.

    Attributes:
        source, target: checkpoint folders.
        step: of the checkpoint.
        imported: whether ``target`` was written.
        tensors, bytes: of the model.
        renamed: name in the model -> name in the checkpoint, where they differ.
        missing, unexpected: names that only the model, only the checkpoint has -> the nearest of the other, or "".
        wrong_shape, wrong_dtype: name in the model -> what both have.
        dropped: names of the checkpoint that were left out as asked.
        cast: name in the model -> the types, where a type was changed as asked.
        optimizer: tensors of optimizer state that came along.
        optimizer_dropped: keys of optimizer state that belong to nothing in the model.
        averages: moving averages that came along.
    """

    source: str
    target: str
    step: int
    imported: bool = False
    tensors: int = 0
    bytes: int = 0
    renamed: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    unexpected: dict[str, str] = field(default_factory=dict)
    wrong_shape: dict[str, str] = field(default_factory=dict)
    wrong_dtype: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    cast: dict[str, str] = field(default_factory=dict)
    optimizer: int = 0
    optimizer_dropped: list[str] = field(default_factory=list)
    averages: int = 0

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return asdict(self)

    def check(self) -> None:
        """Raises :class:`DoesNotFitError` where something keeps the checkpoint from being the model's."""
        parts = [
            _listed("missing in the checkpoint", {name: _nearest(near) for name, near in self.missing.items()}),
            _listed("unknown to the model", {name: _nearest(near) for name, near in self.unexpected.items()}),
            _listed("of another shape", self.wrong_shape),
            _listed("of another type", self.wrong_dtype),
        ]
        lines = [line for part in parts for line in part]
        if lines:
            hints = [
                "name pairs by --map" if self.missing or self.unexpected else "",
                "leave names out by --drop-unexpected" if self.unexpected and not self.missing else "",
                "change floating-point types by --cast" if self.wrong_dtype else "",
                "use the pipeline.config that it was trained with" if self.wrong_shape else "",
            ]
            text = "\n  ".join([f"the checkpoint {self.source} does not fit the model of the config", *lines])
            raise DoesNotFitError(text, "; ".join(hint for hint in hints if hint), self)


class DoesNotFitError(ModelError):
    """A foreign checkpoint is not one of the config's model; ``report`` has all differences."""

    def __init__(self, message: str, hint: str, report: ImportReport) -> None:
        super().__init__(message, hint)
        self.report = report


def nearest_names(names: Collection[str], others: Mapping[str, Any], shapes: Mapping[str, Any]) -> dict[str, str]:
    """For each name the most similar other one, of the same shape if there are such; "" where none is like it.

    Args:
        names: to look for.
        others: name -> shape of those to choose from.
        shapes: name -> shape of ``names``.
    """
    found = {}
    for position, name in enumerate(names):
        alike = [other for other, shape in others.items() if shape == shapes[name]] or list(others)
        near = get_close_matches(name, alike[:COMPARED], 1, LIKE) if position < COMPARED else []
        found[name] = near[0] if near else ""
    return found


def _nearest(name: str) -> str:
    return f"nearest: {name}" if name else ""


def _listed(title: str, names: Mapping[str, str]) -> list[str]:
    if not names:
        return []
    lines = [f"  {name} ({remark})" if remark else f"  {name}" for name, remark in list(names.items())[:SHOWN]]
    more = [f"  ... and {len(names) - SHOWN} more: --json has all"] if len(names) > SHOWN else []
    return [f"{title}, {len(names)}:", *lines, *more]
