"""``id_feature``: an id, or several."""

from __future__ import annotations

from recinfer.features.base import Feature


class IdFeature(Feature):
    """Always sparse: its values are ids."""
