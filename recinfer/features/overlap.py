"""``overlap``: how two texts overlap, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class OverlapFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
