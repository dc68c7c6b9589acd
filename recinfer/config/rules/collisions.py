"""Zero-collision tables: rows, eviction and admission."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from recinfer.config.admission import parse_admission
from recinfer.config.problems import Problem
from recinfer.config.table_size import is_sparse
from recinfer.config.view import ConfigView

# The last row of such a table belongs to all ids that have none of their own.
FEWEST_ROWS = 2
POLICIES = ("lfu", "lru", "distance_lfu")


def zero_collision_tables_are_set_up(view: ConfigView) -> Iterator[Problem]:
    """A ``zch`` has rows, an interval, an eviction policy, and a filter of new ids that can be read."""
    for entry in view.features:
        if not entry.has("zch"):
            continue
        zch = entry.message.zch
        if zch.HasField("zch_size") and zch.zch_size < FEWEST_ROWS:
            hint = f"set it to {FEWEST_ROWS} or more: ids without a row of their own share the last one"
            yield Problem(entry.where, f"`zch.zch_size` is {zch.zch_size}", hint)
        if zch.eviction_interval == 0:
            yield Problem(entry.where, "`zch.eviction_interval` is 0", "set it to the batches between two evictions")
        if zch.WhichOneof("eviction_policy") is None:
            yield Problem(entry.where, "`zch` has no eviction policy", f"add one of {', '.join(POLICIES)}")
        try:
            if zch.threshold_filtering_func:
                parse_admission(zch.threshold_filtering_func)
        except ValueError as error:
            what, hint = error.args
            yield Problem(entry.where, what, hint)


def shared_tables_have_one_zch(view: ConfigView) -> Iterator[Problem]:
    """Features with one ``embedding_name`` have the same ``zch``, or none of them has one."""
    tables: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for entry in view.features:
        if entry.name and is_sparse(entry) and not entry.get("stub_type", False):
            text = " ".join(str(entry.message.zch).split()) if entry.has("zch") else ""
            tables[entry.get("embedding_name") or f"{entry.name}_emb"][text].append(f"`{entry.name}`")
    for name, by_text in tables.items():
        if len(by_text) > 1:
            parts = "; ".join(f"{text or 'none'}: {', '.join(names)}" for text, names in by_text.items())
            hint = "make them equal, or give the features different embedding_name"
            yield Problem(f"embedding_name `{name}`", f"features that share a table have different zch ({parts})", hint)
