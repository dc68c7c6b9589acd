"""``custom``: the result of a named operator, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class CustomFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
