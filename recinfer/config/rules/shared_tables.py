"""Features that share an embedding table agree on its shape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse, table_rows
from recinfer.config.view import ConfigView, FeatureEntry


def shared_tables_agree(view: ConfigView) -> Iterator[Problem]:
    """Features with one ``embedding_name`` have the same ``embedding_dim`` and the same number of rows."""
    tables: dict[str, list[FeatureEntry]] = defaultdict(list)
    for entry in view.features:
        if entry.name and is_sparse(entry) and not entry.get("stub_type", False):
            # Without a name of its own a table is named after its feature, and may be shared under that name.
            tables[entry.get("embedding_name") or f"{entry.name}_emb"].append(entry)
    for name, entries in tables.items():
        yield from _disagree(name, entries, "embedding_dim", lambda entry: entry.get("embedding_dim", 0) or None)
        yield from _disagree(name, entries, "table sizes", table_rows)


def _disagree(
    name: str, entries: list[FeatureEntry], what: str, value: Callable[[FeatureEntry], Any]
) -> Iterator[Problem]:
    by_value: dict[Any, list[str]] = defaultdict(list)
    for entry in entries:
        # A feature that says nothing is another rule's affair.
        if value(entry) is not None:
            by_value[value(entry)].append(f"`{entry.name}`")
    if len(by_value) > 1:
        parts = "; ".join(f"{found}: {', '.join(names)}" for found, names in by_value.items())
        hint = "make them equal, or give the features different embedding_name"
        yield Problem(f"embedding_name `{name}`", f"features that share a table have different {what} ({parts})", hint)
