"""``bool_mask_feature``: the ids that a mask keeps."""

from __future__ import annotations

from recinfer.features.base import Feature


class BoolMaskFeature(Feature):
    """Always sparse: its values are ids."""
