"""``expr``: arithmetic over other inputs, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class ExprFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
