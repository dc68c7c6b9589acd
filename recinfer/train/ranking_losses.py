"""Losses that rank: focal loss, which dwells on hard rows, and JRC, which compares the rows of a session."""

from __future__ import annotations

import torch
from torch.nn import functional


def binary_focal(logits: torch.Tensor, label: torch.Tensor, gamma: float, alpha: float) -> torch.Tensor:
    """Focal loss (Lin et al., ICCV 2017, arXiv:1708.02002), float32 [B].

    Binary cross entropy times ``(1 - p) ** gamma``, p the probability of the row's label, and times ``alpha`` for
    positive rows, ``1 - alpha`` for negative ones. The factors weigh rows: no gradient passes through them.

    Args:
        logits: float32 [B].
        label: 0 or 1, [B].
    """
    target = label.float()
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    # The probability of the other label, without cancellation where the row is easy.
    wrong = torch.sigmoid(logits * (1 - 2 * target))
    side = alpha * target + (1 - alpha) * (1 - target)
    return (side * wrong**gamma).detach() * entropy


def joint_ranking_calibration(
    logits: torch.Tensor, label: torch.Tensor, sessions: torch.Tensor, alpha: float
) -> torch.Tensor:
    """Joint optimisation of ranking and calibration (Sheng et al., KDD 2023, arXiv:2208.06164), float32 [B].

    ``alpha`` of the cross entropy of a row's two logits, which calibrates, and ``1 - alpha`` of the cross entropy of
    the row against the rows of its session that have the other label, by their logits of the row's label, which
    ranks. Rows of the same label do not compete, as in TorchEasyRec; without a competitor the second part is 0.

    Args:
        logits: float32 [B, 2], of labels 0 and 1.
        label: 0 or 1, [B].
        sessions: int64 [B], equal for rows of one session.
    """
    label = label.long()
    calibration = functional.cross_entropy(logits, label, reduction="none")
    _, session = torch.unique(sessions, return_inverse=True)
    # Row by row the logits on which it stands against others: a positive row's logit of label 0 competes with
    # negative rows, and the other way round.
    competing = torch.zeros_like(logits, dtype=torch.bool).scatter(1, 1 - label[:, None], True)
    own = torch.gather(logits, 1, label[:, None]).squeeze(1)
    others = torch.gather(_log_sum_exp(logits, competing, session), 1, label[:, None]).squeeze(1)
    return alpha * calibration + (1 - alpha) * functional.softplus(others - own)


def _log_sum_exp(logits: torch.Tensor, counted: torch.Tensor, session: torch.Tensor) -> torch.Tensor:
    """For each row the log of the sum of ``exp(logits)`` over what counts of its session, [B, 2]."""
    # So low that nothing is left of it beside any logit, and yet finite, so that gradients are.
    masked = torch.where(counted, logits, -1e9)
    spread = session[:, None].expand_as(logits)
    # Sessions are numbered below B, so that B places are enough.
    top = torch.full_like(logits, -torch.inf).scatter_reduce(0, spread, masked.detach(), "amax")[session]
    total = torch.zeros_like(logits).index_add(0, session, torch.exp(masked - top))
    return torch.log(total[session]) + top
