"""Models that pair features with each other want all of them as wide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from recinfer.config.model_reads import DENSE_AND_SPARSE, needed_groups
from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.widths import Widths, group_widths

HINTS = {
    "deepfm": "a factorization machine multiplies them: give all one embedding_dim, or name those that have one in a "
    "group `fm`",
    "xdeepfm": "they are multiplied with each other: give all one embedding_dim",
    "dlrm": "they are multiplied with each other: give all one embedding_dim",
    "wukong": "they are multiplied with each other: give all one embedding_dim",
}


def paired_features_have_one_width(view: ConfigView) -> Iterator[Problem]:
    """The group whose features a model multiplies with each other holds features of one width."""
    name, widths = _paired(view)
    found = view.group(name) if name else None
    if found is None or not widths or len({width for _, width in widths}) == 1:
        return
    by_width: dict[int, list[str]] = defaultdict(list)
    for piece, width in widths:
        by_width[width].append(piece)
    parts = "; ".join(f"{width}: {', '.join(pieces)}" for width, pieces in sorted(by_width.items()))
    what = f"features of group `{name}` have different widths ({parts})"
    yield Problem(f"{found[0]}, group `{name}`", what, HINTS[view.model_kind or ""])


def dense_features_fit_in(view: ConfigView) -> Iterator[Problem]:
    """DLRM and WuKong make one more embedding of the dense features, by an MLP that ends in their width."""
    model: Any = view.model
    groups = view.config.model_config.feature_groups
    if view.model_kind not in DENSE_AND_SPARSE or len(groups) < 2 or view.group("dense") is None:
        return
    where = f"model_config.{view.model_kind}"
    name, widths = _paired(view)
    width = widths[0][1] if widths else None
    if not model.HasField("dense_mlp"):
        hint = f"add one that ends in {width or 'embedding_dim'} units"
        yield Problem(where, "there is a group `dense` and no `dense_mlp`", hint)
        return
    units = list(model.dense_mlp.hidden_units)
    if width is not None and units and units[-1] != width and len({each for _, each in widths}) == 1:
        what = f"dense_mlp ends in {units[-1]} units, and features of group `{name}` are {width} wide"
        yield Problem(f"{where}.dense_mlp", what, "make the last of hidden_units the embedding_dim")


def _paired(view: ConfigView) -> tuple[str, Widths]:
    """The group whose features the model multiplies, "" for none, and their widths as far as they are known."""
    kind = view.model_kind or ""
    if kind == "deepfm":
        name = "fm" if view.group("fm") is not None else "deep"
    elif kind == "xdeepfm":
        name = "wide"
    elif kind in DENSE_AND_SPARSE and view.config.model_config.feature_groups:
        name = needed_groups(view)[0]
    else:
        return "", []
    found = view.group(name)
    return name, (group_widths(view, found[1]) or [] if found is not None else [])
