"""The embedding tables of a scripted model: shapes and types as its tensors have them, whatever a config says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch

from recinfer.export.scripted_graph import ScriptedGraph, constant

LOOKUP = "fbgemm::int_nbit_split_embedding_codegen_lookup_function"
BOUNDS_CHECK = "fbgemm::bounds_check_indices"
PLAIN_LOOKUPS = ("aten::embedding", "aten::embedding_bag", "aten::_embedding_bag")

# Types of rows by the number that fbgemm gives them, with bits of a value and bytes of scale and offset in each row.
ROW_TYPES = {
    0: ("FP32", 32, 0),
    1: ("FP16", 16, 0),
    2: ("INT8", 8, 4),
    3: ("INT4", 4, 4),
    4: ("INT2", 2, 4),
    5: ("BF16", 16, 0),
}
POOLING = {0: "sum", 1: "mean", 2: "none"}
# Modules that export makes of small tables and the layers that read them: see fold.py.
FOLDED_PREFIX = "folded_"
ARGUMENTS = {
    "weights": 0,
    "managed_weights": 1,
    "placements": 2,
    "starts": 3,
    "types": 4,
    "columns": 5,
    "ids": 12,
    "pooling": 14,
    "alignment": 19,
}


@dataclass(frozen=True)
class HeldTable:
    """A table inside an export.

    Attributes:
        name: as in ``state_dict`` of the model; "" where the file does not tell.
        rows, dim: its shape.
        dtype: FP32, FP16, INT8, INT4, INT2 or BF16.
        bytes: of all rows, with their scales and padding.
        pooling: ``sum``, ``mean``, or ``none`` for tables that are looked up id by id.
        features: how many lookups read it.
        kind: ``embedding``, or ``products`` of a small table and a layer.
    """

    name: str
    rows: int
    dim: int
    dtype: str
    bytes: int
    pooling: str
    features: int
    kind: str = "embedding"


def lookups_of(graph: ScriptedGraph) -> list[list[HeldTable]]:
    """The tables of each batched lookup, in the order in which it has them."""
    rows = {node.inputsAt(1).debugName(): node.inputsAt(0) for node in graph.find(BOUNDS_CHECK)}
    return [_tables(graph, node, rows.get(node.inputsAt(ARGUMENTS["ids"]).debugName())) for node in graph.find(LOOKUP)]


def plain_tables_of(graph: ScriptedGraph) -> list[HeldTable]:
    """Tables that torch's own operators look up: products of folded tables, and embeddings that were not batched."""
    found: dict[str, HeldTable] = {}
    for node in graph.find(*PLAIN_LOOKUPS):
        stored = graph.stored(node.inputsAt(0))
        if stored is None:
            continue
        name, weight = stored
        if name in found:
            found[name] = replace(found[name], features=found[name].features + 1)
            continue
        bags = node.kind() != "aten::embedding"
        pooling = POOLING.get(constant(node.inputsAt(4)), "") if bags else "none"
        kind = "products" if name.startswith(FOLDED_PREFIX) else "embedding"
        dtype = {torch.float32: "FP32", torch.float16: "FP16", torch.bfloat16: "BF16"}.get(weight.dtype, "")
        found[name] = HeldTable(name, weight.size(0), weight.size(1), dtype, weight.nbytes, pooling, 1, kind)
    return list(found.values())


def row_bytes(dim: int, row_type: int, alignment: int) -> int:
    """Bytes that a row takes: its values, its scale and offset, and what fills it up to the alignment."""
    _, bits, extra = ROW_TYPES[row_type]
    used = -(-dim * bits // 8) + extra
    return -(-used // alignment) * alignment


def _tables(graph: ScriptedGraph, node: Any, rows: Any) -> list[HeldTable]:
    """The tables of one lookup. Several features may read one table: they have one place in the weights."""
    held = {name: _values(graph, node.inputsAt(ARGUMENTS[name])) for name in ("placements", "starts", "types")}
    columns = _values(graph, node.inputsAt(ARGUMENTS["columns"]))
    heights = _values(graph, rows) if rows is not None else []
    alignment = constant(node.inputsAt(ARGUMENTS["alignment"])) or 16
    pooling = POOLING.get(constant(node.inputsAt(ARGUMENTS["pooling"])), "")
    ends = _ends(graph, node, held["placements"], held["starts"])
    found: dict[tuple[int, int], HeldTable] = {}
    for place, start in enumerate(held["starts"]):
        key = (ends[place], start)
        if key in found:
            found[key] = replace(found[key], features=found[key].features + 1)
            continue
        dim, row_type = columns[place + 1] - columns[place], held["types"][place]
        width = row_bytes(dim, row_type, alignment)
        # Without the check that knows the rows, all that fits up to the next table is counted.
        height = heights[place] if heights else (ends[place] - start) // width
        found[key] = HeldTable("", height, dim, ROW_TYPES[row_type][0], height * width, pooling, 1)
    return list(found.values())


def _ends(graph: ScriptedGraph, node: Any, placements: list[int], starts: list[int]) -> list[int]:
    """Where the weights of each lookup's table end at the latest: at the next table, or with the tensor."""
    ends = []
    for placement, start in zip(placements, starts, strict=True):
        # 1 and 2 are memory that GPU and CPU share; the rest lies in the first tensor.
        managed = placement in (1, 2)
        stored = graph.stored(node.inputsAt(ARGUMENTS["managed_weights" if managed else "weights"]))
        size = stored[1].numel() if stored else 0
        later = [
            each for each, kind in zip(starts, placements, strict=True) if each > start and (kind in (1, 2)) == managed
        ]
        ends.append(min(later, default=size))
    return ends


def _values(graph: ScriptedGraph, value: Any) -> list[int]:
    stored = graph.stored(value)
    return [] if stored is None else [int(each) for each in stored[1].tolist()]
