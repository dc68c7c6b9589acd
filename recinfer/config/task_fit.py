"""Which losses and metrics run, and what they ask of a task: one source for checks of configs and for training."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

LOSSES = ("binary_cross_entropy", "binary_focal_loss", "softmax_cross_entropy", "jrc_loss", "l2_loss")
SOFTMAX_LOSSES = ("softmax_cross_entropy", "jrc_loss")

GROUPED = ("grouped_auc", "grouped_xauc")
TWO_CLASS = ("auc", "grouped_auc", "normalized_entropy")
REGRESSION = ("mean_absolute_error", "mean_squared_error", "xauc", "grouped_xauc")
METRICS = (*TWO_CLASS, "multiclass_auc", "accuracy", "recall_at_k", *REGRESSION)
AVERAGES = ("macro", "weighted")

Misfit = tuple[str, str | None]


def loss_kind(loss: Any) -> str | None:
    """The loss that a ``LossConfig`` message names, of rankers or of others; None where it names none."""
    return loss.WhichOneof("loss") or loss.WhichOneof("sid_loss") or None


def loss_misfit(kind: str | None, num_class: int) -> Misfit | None:
    """What is wrong with a loss of a task, and what to do; None where it fits."""
    if kind is None:
        return "no loss is set", f"add one of {', '.join(LOSSES)}"
    if kind not in LOSSES:
        return f"loss `{kind}` is not supported", f"use one of {', '.join(LOSSES)}"
    if kind == "softmax_cross_entropy" and num_class < 2:
        return f"softmax_cross_entropy with num_class {num_class}", "set num_class above 1"
    if kind == "jrc_loss" and num_class != 2:
        return f"jrc_loss with num_class {num_class}", "set num_class to 2"
    if kind not in SOFTMAX_LOSSES and num_class > 1:
        return f"{kind} with num_class {num_class}", "use softmax_cross_entropy"
    return None


def metric_misfit(kind: str | None, num_class: int, losses: Collection[str], grouping_key: str) -> Misfit | None:
    """What is wrong with a metric of a task, and what to do; None where it fits.

    Args:
        losses: names of the task's losses; with ``l2_loss`` among them it predicts amounts, not classes.
        grouping_key: the column that the metric groups by; "" for none.
    """
    if kind is None:
        return "no metric is set", f"add one of {', '.join(METRICS)}"
    if kind not in METRICS:
        return f"metric `{kind}` is not supported", f"use one of {', '.join(METRICS)}"
    if not _fits(kind, num_class, "l2_loss" in losses):
        of = ", ".join(losses) or "none"
        return f"metric `{kind}` does not fit num_class {num_class} and its losses", f"the losses are: {of}"
    if kind in GROUPED and not grouping_key:
        return f"metric `{kind}` has no grouping_key", "name the column to group by"
    return None


def metric_name(kind: str, options: Any) -> str:
    """What a metric's values are called, before the tower's name: ``auc``, ``recall@5``."""
    return f"recall@{options.top_k}" if kind == "recall_at_k" else kind


def _fits(kind: str, num_class: int, regression: bool) -> bool:
    if kind in REGRESSION:
        return num_class == 1
    if regression:
        return False
    if kind in TWO_CLASS:
        return num_class <= 2
    return kind == "accuracy" or num_class > 1


def loss_option_misfit(kind: str, options: Any) -> Misfit | None:
    """What is wrong with the options of a loss, a message such as ``BinaryFocalLoss``; None where nothing is."""
    if not 0 <= getattr(options, "label_smoothing", 0) <= 1:
        return f"{kind} with label_smoothing {options.label_smoothing:g}", "set it to 0 up to 1"
    if not 0 <= getattr(options, "alpha", 0) <= 1:
        return f"{kind} with alpha {options.alpha:g}", "set it to 0 up to 1"
    if getattr(options, "gamma", 0) < 0:
        return f"{kind} with gamma {options.gamma:g}", "set it to 0 or more"
    return None


def metric_option_misfit(kind: str, options: Any, num_class: int) -> Misfit | None:
    """What is wrong with the options of a metric, a message such as ``AUC``; None where nothing is."""
    if getattr(options, "thresholds", 2) < 2:
        return f"{kind} with thresholds {options.thresholds}", "set it to 2 or more"
    if getattr(options, "average", "macro") not in AVERAGES:
        return f"{kind} with average `{options.average}`", f"use {' or '.join(AVERAGES)}"
    if num_class > 1 and not 1 <= getattr(options, "top_k", 1) <= num_class:
        return f"{kind} with top_k {options.top_k} of {num_class} classes", f"set it to 1 up to {num_class}"
    if not 0 < getattr(options, "sample_ratio", 1) <= 1:
        return f"{kind} with sample_ratio {options.sample_ratio:g}", "set it above 0, up to 1"
    return None
