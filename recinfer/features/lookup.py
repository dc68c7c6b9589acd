"""``lookup``: what a map holds for a key, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class LookupFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
