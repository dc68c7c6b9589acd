"""``raw``: numbers, bucketized by boundaries or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class RawFeature(Feature):
    """Sparse where a bucketizer is set, else dense."""
