"""The kinds of exports: what each writes, and what scores with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import fx

from recinfer.env import Environment
from recinfer.errors import UsageError
from recinfer.export.aot import write_aot
from recinfer.export.script import write_scripted
from recinfer.features.base import Feature
from recinfer.predict.compiled_scorer import CompiledScorer
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.scorer import Scorer


@dataclass(frozen=True)
class Kind:
    """One kind.

    Attributes:
        write: puts a traced model into a folder; may change the graph.
        open: makes a scorer of the folder and a fingerprint.
        compiled: whether it holds machine code, which runs on machines like this one alone.
        switches: what ``model_acc.json`` says of it.
    """

    write: Callable[[fx.GraphModule, Sequence[Feature], Path], None]
    open: Callable[[Path, str], Scorer]
    compiled: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)


KINDS: Mapping[str, Kind] = {
    "torchscript": Kind(write_scripted, ExportScorer),
    "aot": Kind(write_aot, CompiledScorer, compiled=True, switches={"ENABLE_AOT": "1"}),
}

# What `--accelerate` names, and what `ENABLE_AOT` counts.
AUTO = "auto"
AUTO_KINDS = ("torchscript", "aot")
ACCELERATIONS: Mapping[str, str] = {"none": "torchscript", "aot": "aot", "auto": AUTO}
ENABLE_AOT: Mapping[int, str] = {0: "none", 1: "aot"}


def kind_name(accelerate: str | None, environment: Environment) -> str:
    """The kind that a flag or the environment asks for.

    Raises:
        UsageError: it is unknown.
    """
    if accelerate is None:
        number = environment.enable_aot or 0
        if number not in ENABLE_AOT:
            raise UsageError(f"ENABLE_AOT={number} is unknown", f"use one of {', '.join(map(str, ENABLE_AOT))}")
        accelerate = ENABLE_AOT[number]
    if accelerate not in ACCELERATIONS:
        raise UsageError(f"accelerate={accelerate!r} is unknown", f"use one of {', '.join(ACCELERATIONS)}")
    return ACCELERATIONS[accelerate]
