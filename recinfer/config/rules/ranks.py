"""Widths that follow from layers before: the subspaces of DC2VR, the masks of mask nets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.config.widths import total_width


def subspaces_are_smaller(view: ConfigView) -> Iterator[Problem]:
    """A tower of DC2VR that others intervene in does so in fewer dimensions than its representation has."""
    if view.model_kind != "dc2vr":
        return
    shared = _bottom_width(view)
    for path, tower in view.towers():
        if not tower.intervention_tower_names:
            continue
        width = tower.mlp.hidden_units[-1] if tower.mlp.hidden_units else shared
        if width and not 0 < tower.low_rank_dim < width:
            what = f"`low_rank_dim` is {tower.low_rank_dim}, and the representation is {width} wide"
            yield Problem(path, what, "a subspace has fewer dimensions: choose one between 1 and the width")


def masks_have_widths(view: ConfigView) -> Iterator[Problem]:
    """``reduction_ratio`` leaves a mask's hidden layer at least one unit."""
    model: Any = view.model
    field = {"mask_net": "mask_net_module", "dbmtl": "mask_net"}.get(view.model_kind or "")
    width = _first_width(view)
    if field is None or not model.HasField(field) or not width:
        return
    net = getattr(model, field)
    ratio, hidden = net.mask_block.reduction_ratio, net.mask_block.hidden_dim
    chained = not net.use_parallel and net.n_mask_blocks > 1
    for before in [width, *([hidden] if chained else [])]:
        if ratio > 0 and before and int(before * float(f"{ratio:.6g}")) < 1:
            what = f"`reduction_ratio` {ratio:g} leaves no unit of an input {before} wide"
            where = f"model_config.{view.model_kind}.{field}.mask_block"
            yield Problem(where, what, "raise it, or set it to 0 and give aggregation_dim")


def _first_width(view: ConfigView) -> int | None:
    groups = view.config.model_config.feature_groups
    return total_width(view, groups[0]) if groups else None


def _bottom_width(view: ConfigView) -> int | None:
    """Width of what the towers of DC2VR start from."""
    model: Any = view.model
    for field in ("expert_mlp", "bottom_mlp"):
        if model.HasField(field):
            units = getattr(model, field).hidden_units
            return units[-1] if units else None
    return _first_width(view)
