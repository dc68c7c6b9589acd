"""``match``: what a nested map holds for two keys, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class MatchFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
