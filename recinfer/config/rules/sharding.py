"""How ranks may share embedding tables."""

from __future__ import annotations

from collections.abc import Iterator

from recinfer.config.nearest import name_hint
from recinfer.config.problems import Problem
from recinfer.config.sharding import KERNELS, SHARDING_TYPES
from recinfer.config.view import ConfigView


def constraints_are_known(view: ConfigView) -> Iterator[Problem]:
    """Constraints name ways to split a table, and kernels, that torchrec has on some device."""
    found = [(entry.where, entry.get("embedding_constraints", None)) for entry in view.features]
    general = "train_config.global_embedding_constraints"
    found.append((general, view.config.train_config.global_embedding_constraints))
    for where, constraints in found:
        if constraints is None:
            continue
        for field, known in (("sharding_types", SHARDING_TYPES), ("compute_kernels", KERNELS)):
            for name in getattr(constraints, field):
                if name not in known["cuda"]:
                    hint = name_hint(name, known["cuda"], field.replace("_", " "))
                    yield Problem(where, f"`{name}` of {field} is unknown", hint)
