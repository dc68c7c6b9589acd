"""The features of `tests/synthetic.py`, some of which are the user's."""

from __future__ import annotations

import re

from tests.synthetic import FEATURES

USERS = {"user_id", "age", "profile", "tags", "recency"}


def sided(match: re.Match[str]) -> str:
    name = match[1]
    return f'feature_name: "{name}" expression: "{"user" if name in USERS else "item"}:{name}"'


SIDED = re.sub(r'feature_name: "(\w+)"', sided, FEATURES)
HISTORY = {f"history__{name}" for name in ("movie_id", "genres", "rating", "mood")}
