"""Nearest names: what a user probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED_AT_MOST = 12


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to ``name``, or else the shortest that contains it, or None. Case does not count."""
    wanted = name.lower()
    by_lower = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.5)
    if not found and len(wanted) >= 3:
        found = sorted((candidate for candidate in by_lower if wanted in candidate), key=len)[:1]
    return by_lower[found[0]] if found else None


def name_hint(name: str, known: Iterable[str], kind: str = "names") -> str | None:
    """A hint for an unknown ``name``: the nearest known one, else the list of a few known ones, else None."""
    candidates = list(known)
    nearest = nearest_name(name, candidates)
    if nearest is not None:
        return f"did you mean `{nearest}`?"
    if 0 < len(candidates) <= LISTED_AT_MOST:
        return f"the {kind} are: {', '.join(candidates)}"
    return None
