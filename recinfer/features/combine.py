"""``combine``: aggregated numbers, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class CombineFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
