"""``kv_dot_product``: the product of two maps, bucketized or dense."""

from __future__ import annotations

from recinfer.features.base import Feature


class KvDotProduct(Feature):
    """Sparse where a bucketizer is set, else dense."""
