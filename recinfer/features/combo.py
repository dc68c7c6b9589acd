"""``combo_feature``: ids of joined values."""

from __future__ import annotations

from recinfer.features.base import Feature


class ComboFeature(Feature):
    """Always sparse: its values are ids."""
