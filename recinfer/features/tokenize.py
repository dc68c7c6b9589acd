"""``tokenize_feature``: token ids of a text."""

from __future__ import annotations

from recinfer.features.base import Feature


class TokenizeFeature(Feature):
    """Always sparse: its values are ids."""
