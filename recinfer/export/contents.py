"""What is inside an export folder, as far as its files tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch

from recinfer.export.scripted_graph import ScriptedGraph
from recinfer.export.scripted_tables import HeldTable, lookups_of, plain_tables_of
from recinfer.export.table_names import Declared, with_names
from recinfer.features.base import Feature
from recinfer.features.example import batch_keys, example_batch
from recinfer.features.side import is_user_side

# Keys of a batch that belong to no feature.
BATCH_SIZE = "batch_size"


@dataclass(frozen=True)
class InputTensor:
    """One tensor that a model takes.

    Attributes:
        name: its key.
        dtype: as torch names it; "" where the config does not tell.
        shape: numbers, and names of sizes that differ from batch to batch: ``rows``, ``ids``, ``steps``, and
            ``users`` where user-side features come once per user.
    """

    name: str
    dtype: str
    shape: list[int | str]


@dataclass(frozen=True)
class Contents:
    """What is inside an export.

    Attributes:
        folder: of the export.
        kind: ``torchscript``, ``aot``, ``aot-unified`` or ``trt``.
        created_by, created_at: from ``recinfer.json``; "" for an export of the reference.
        device: that it runs on.
        needs: of the machine, what ``recinfer.json`` says: architecture, instruction sets, GPU.
        versions: of packages that it was made with.
        files: bytes of each.
        checked: how many of them were held against a SHA-256.
        signed: whether there is a signature; it is not verified here.
        fallbacks: values of ``--fallback`` that it carries.
        differences: what would keep it from running here, or might.
        switches: how it was made (``model_acc.json``).
        columns: type of each column that it reads, by name.
        inputs: tensors that the model takes.
        outputs: type of each prediction; "" where no file tells.
        tables: embedding tables, and products of folded ones.
        parameters, parameter_bytes: of the layers in the scripted files: how many numbers, and their bytes.
        operators: how often each is called in the scripted code.
        folded: what was folded.
        quantized_layers: names of the linear layers in INT8.
        parity: how its scores compare with the model's.
        types: of its tables and of its linear layers, as they were asked for.
        auc: of the model's scores and of the export's, by prediction; empty where the rows had no labels.
        speeds: rows a second on one thread when it was made: ``eager`` the model's, ``export`` its own.
        choice: of its kind, where that was measured: ``kind``, ``speeds`` and ``failed`` by kind.
        notes: what could not be found out, and why.
    """

    folder: str
    kind: str
    created_by: str = ""
    created_at: str = ""
    device: str = "cpu"
    needs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    checked: int = 0
    signed: bool = False
    fallbacks: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    switches: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    inputs: list[InputTensor] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    tables: list[HeldTable] = field(default_factory=list)
    parameters: int = 0
    parameter_bytes: int = 0
    operators: dict[str, int] = field(default_factory=dict)
    folded: dict[str, Any] = field(default_factory=dict)
    quantized_layers: list[str] = field(default_factory=list)
    parity: dict[str, Any] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    auc: dict[str, Any] = field(default_factory=dict)
    speeds: dict[str, Any] = field(default_factory=dict)
    choice: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """All of it, with the sizes of everything in bytes."""
        return {**asdict(self), "bytes": sum(self.files.values())}


@dataclass(frozen=True)
class ScriptedContents:
    """What the scripted files of an export tell.

    Attributes:
        tables, operators, parameters, parameter_bytes: as in :class:`Contents`.
        input_keys, output_keys: of the dicts that the model takes and returns.
    """

    tables: list[HeldTable]
    operators: dict[str, int]
    parameters: int
    parameter_bytes: int
    input_keys: list[str]
    output_keys: list[str]


def scripted_contents(
    model: torch.jit.ScriptModule, declared: Sequence[tuple[str, Sequence[Declared]]]
) -> ScriptedContents:
    """Reads a scripted model without running it.

    Args:
        declared: the tables that the config's model has, for their names; empty where they are not known.
    """
    graph = ScriptedGraph(model)
    named = with_names(lookups_of(graph), declared, graph.name_lists())
    plain = plain_tables_of(graph)
    numbers, size = graph.numbers(without={table.name for table in plain})
    return ScriptedContents(
        [*(table for lookup in named for table in lookup), *plain],
        graph.operators(),
        numbers,
        size,
        graph.input_keys(),
        graph.output_keys(),
    )


def input_tensors(keys: Sequence[str], features: Sequence[Feature]) -> list[InputTensor]:
    """Types and shapes of the tensors that a model takes.

    Args:
        keys: that the file reads; empty where it does not tell, which means all of the features'.
        features: of the config; keys that belong to none have no type here.
    """
    known = {tensor.name: tensor for feature in features for tensor in _tensors(feature)}
    if BATCH_SIZE in keys:
        mine = [key for feature in features if is_user_side(feature) for key in batch_keys(feature)]
        known.update({key: replace(known[key], shape=_per_user(known[key].shape)) for key in mine})
    known[BATCH_SIZE] = InputTensor(BATCH_SIZE, "int64", [])
    return [known.get(key, InputTensor(key, "", [])) for key in keys or [key for key in known if key != BATCH_SIZE]]


def _tensors(feature: Feature) -> list[InputTensor]:
    return [
        InputTensor(key, str(tensor.dtype).removeprefix("torch."), _shape(feature, key.rpartition(".")[2], tensor))
        for key, tensor in example_batch([feature], 2).items()
    ]


def _per_user(shape: Sequence[int | str]) -> list[int | str]:
    return ["users" if size == "rows" else size for size in shape]


def _shape(feature: Feature, part: str, tensor: torch.Tensor) -> list[int | str]:
    if part == "lengths":
        return ["rows"]
    if part == "key_lengths":
        return ["steps"]
    one_id_a_step = feature.is_sequence and feature.value_dim == 1
    first = ("steps" if one_id_a_step else "ids") if feature.is_sparse else ("steps" if feature.is_sequence else "rows")
    return [first, *tensor.shape[1:]]
