"""What each process shows before a job begins: processes that would not write the same bytes must not share one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from recinfer import __version__
from recinfer.errors import RankError
from recinfer.predict.options import PredictOptions

logger = logging.getLogger(__name__)

PACKAGES = ("torch", "torchrec", "fbgemm-gpu-cpu", "fbgemm-gpu", "numpy", "pyarrow")
# What may differ between processes without an effect on the output.
FREE_OPTIONS = frozenset({"predict_threads", "profile_dir", "stall_seconds", "resume", "overwrite"})
SHOWN_RANKS = 8

Card = dict[str, Any]


def make_card(fingerprint: str, options: PredictOptions, **more: str) -> Card:
    """What this process has loaded, and how it was started.

    Args:
        fingerprint: of the model.
        more: what else must be equal, by what it is called in messages; blanks are underscores.
    """
    chosen = {name: value for name, value in asdict(options).items() if name not in FREE_OPTIONS}
    return bare_card(
        {
            "the model (fingerprint)": fingerprint,
            "the options": ", ".join(f"{name}={value}" for name, value in sorted(chosen.items())),
            **{name.replace("_", " "): value for name, value in more.items()},
        }
    )


def bare_card(must: Mapping[str, str]) -> Card:
    """What this process is made of.

    Args:
        must: what else must be equal, by what it is called in messages.
    """
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "must": {"recinfer": __version__, **versions, **must},
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def check_cards(cards: Mapping[int, Card]) -> None:
    """Compares the cards of all processes; warns where only the last bits of scores may differ.

    Raises:
        RankError: something differs; names what, and on which ranks.
    """
    lines = []
    for name in cards[0]["must"]:
        found = _by_value({rank: card["must"].get(name) for rank, card in cards.items()})
        if len(found) > 1:
            lines.append(f"{name}: " + "; ".join(f"{value} on {_ranks(ranks)}" for value, ranks in found.items()))
    if lines:
        raise RankError(
            "the processes do not fit each other:\n  " + "\n  ".join(lines),
            "install the same packages on all machines, and give all the same model and options",
        )
    kinds = _by_value({rank: card["instructions"] for rank, card in cards.items()})
    if len(kinds) > 1:
        logger.warning(
            "the processors differ (%s): the last bits of a score depend on which process computes it",
            "; ".join(f"{value} on {_ranks(ranks)}" for value, ranks in kinds.items()),
        )


def _by_value(values: Mapping[int, Any]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for rank, value in sorted(values.items()):
        found.setdefault(str(value), []).append(rank)
    return found


def _ranks(ranks: list[int]) -> str:
    shown = ", ".join(map(str, ranks[:SHOWN_RANKS]))
    more = f" and {len(ranks) - SHOWN_RANKS} more" if len(ranks) > SHOWN_RANKS else ""
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {shown}{more}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
