"""Which table of a scripted model is which of the config's: files hold tables without their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torchrec.modules.embedding_modules import EmbeddingBagCollection, EmbeddingCollection

from recinfer.export.scripted_tables import HeldTable

Declared = tuple[str, int, int]
"""Name, rows, dim."""


def declared_lookups(model: nn.Module) -> list[tuple[str, list[Declared]]]:
    """The tables that a model has, with their pooling, in the lookups that export makes of them."""
    found: list[tuple[str, list[Declared]]] = []
    for module in model.modules():
        if isinstance(module, EmbeddingBagCollection):
            by_pooling: dict[str, list[Declared]] = {}
            for config in module.embedding_bag_configs():
                by_pooling.setdefault(config.pooling.name.lower(), []).append(_declared(config))
            found += by_pooling.items()
        elif isinstance(module, EmbeddingCollection):
            found.append(("none", [_declared(config) for config in module.embedding_configs()]))
    return found


def with_names(
    lookups: Sequence[Sequence[HeldTable]],
    declared: Sequence[tuple[str, Sequence[Declared]]],
    name_lists: Sequence[Sequence[str]] = (),
) -> list[list[HeldTable]]:
    """Names tables where there is no doubt, by the first of these that tells.

    1. The file has keys ``feature@table`` for what the lookups give, in their order.
    2. The config has one lookup of just these shapes in this order.
    3. The config has one table of this shape.

    Args:
        lookups: tables of each, in the order of the file.
        declared: the same of the config's model, in any order; empty where it cannot be built.
        name_lists: lists of strings in the file.
    """
    shapes = [_shapes(lookup) for lookup in lookups]
    known = [(pooling, [each[1:] for each in tables]) for pooling, tables in declared]
    in_file = _names_in_file(lookups, name_lists)
    named: list[list[HeldTable]] = []
    for place, (lookup, own) in enumerate(zip(lookups, shapes, strict=True)):
        names = [_only(_of_shape(declared, table)) for table in lookup]
        if shapes.count(own) == 1 and known.count(own) == 1:
            names = [name for name, _, _ in declared[known.index(own)][1]]
        names = [said or name for said, name in zip(in_file.get(place, [""] * len(names)), names, strict=True)]
        named.append([replace(table, name=name) for table, name in zip(lookup, names, strict=True)])
    return named


def _names_in_file(lookups: Sequence[Sequence[HeldTable]], name_lists: Sequence[Sequence[str]]) -> dict[int, list[str]]:
    """Names of the tables of lookups, by place, where a list of keys fits one run of lookups and no other."""
    widths = [sum(table.features for table in lookup) for lookup in lookups]
    runs = [(first, last) for first in range(len(lookups)) for last in range(first + 1, len(lookups) + 1)]
    found: dict[int, list[str]] = {}
    for keys in (names for names in name_lists if any("@" in name for name in names)):
        fitting = [run for run in runs if sum(widths[slice(*run)]) == len(keys)]
        if len(fitting) != 1 or sum(len(other) == len(keys) and "@" in "".join(other) for other in name_lists) > 1:
            continue
        rest = iter(keys)
        for place in range(*fitting[0]):
            tables = [{next(rest).partition("@")[2] for _ in range(table.features)} for table in lookups[place]]
            found[place] = [_only(sorted(names)) for names in tables]
    return found


def _declared(config: Any) -> Declared:
    return config.name, config.num_embeddings, config.embedding_dim


def _shapes(lookup: Sequence[HeldTable]) -> tuple[str, list[tuple[int, int]]]:
    return (lookup[0].pooling if lookup else ""), [(table.rows, table.dim) for table in lookup]


def _of_shape(declared: Sequence[tuple[str, Sequence[Declared]]], table: HeldTable) -> list[str]:
    return [
        name
        for pooling, tables in declared
        for name, rows, dim in tables
        if (pooling, rows, dim) == (table.pooling, table.rows, table.dim)
    ]


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""
