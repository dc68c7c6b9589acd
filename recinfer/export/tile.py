"""Exports that take user-side features once per user (``INPUT_TILE``).

With 2, user-side inputs are repeated for the user's rows before anything looks them up; with 3 their embeddings are
looked up once, and repeated.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Dict, Optional, cast  # noqa: UP035

import torch
from torch import nn

from recinfer.errors import UsageError
from recinfer.features.base import Feature
from recinfer.features.example import batch_keys
from recinfer.features.side import user_side_names
from recinfer.nn import jagged, tiling
from recinfer.predict.users import MANY_USERS, ONLINE, TILE

IDS, EMBEDDINGS = 2, 3
# Kinds whose scorers know how to feed such a model.
TILED_KINDS = ("torchscript", "aot")


@dataclass(frozen=True)
class Tiling:
    """How user-side features are repeated.

    Attributes:
        at: 2 for the ids, 3 for the embeddings.
        users: names of the user-side features that the model reads.
        online: whether ``INPUT_TILE_3_ONLINE`` asked for it. It changes nothing: user-side sequences are never padded
            before they are repeated, which is what it asks for.
    """

    at: int
    users: frozenset[str]
    online: bool = False

    @property
    def switches(self) -> dict[str, str]:
        """What ``model_acc.json`` says of it."""
        return {TILE: str(self.at), MANY_USERS: "1", **({ONLINE: "1"} if self.online else {})}

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return {"at": self.at, "features": sorted(self.users)}


def tiling_of(at: int, online: bool, features: Sequence[Feature]) -> Tiling | None:
    """What a flag or ``INPUT_TILE`` asks for; None for 0 and 1, which repeat nothing.

    Raises:
        UsageError: the number is unknown, or no feature is user-side.
    """
    hint = "use --input-tile 2 (repeat ids) or --input-tile 3 (repeat embeddings)"
    if online and at != EMBEDDINGS:
        raise UsageError(
            f"--input-tile-3-online (INPUT_TILE_3_ONLINE) goes with INPUT_TILE=3, not {at}",
            "use --input-tile 3, or leave it out",
        )
    if at in (0, 1):
        return None
    if at not in (IDS, EMBEDDINGS):
        raise UsageError(f"INPUT_TILE={at} is unknown", hint)
    users = user_side_names(features)
    if not users:
        raise UsageError(
            f"INPUT_TILE={at} is for user-side features, and the model reads none",
            'say which they are: `expression: "user:..."` in feature_configs',
        )
    return Tiling(at, users, online)


class TiledScorable(nn.Module):
    """The signature of a tiled export: as of others, with user-side features once per user, and ``batch_size``.

    Args:
        model: with inference tables.
        features: that it reads.
        how: which are user-side.
    """

    def __init__(self, model: nn.Module, features: Sequence[Feature], how: Tiling) -> None:
        super().__init__()
        self.model = model
        self.how = how
        self.features = {feature.name: batch_keys(feature) for feature in features}
        self.row_key = next(
            (key for feature in features if feature.name not in how.users for key in _per_row(feature)), ""
        )

    # TorchScript reads these annotations out of the traced graph: it wants them evaluated, and `Dict` by that name.
    def forward(
        self,
        data: Dict[str, torch.Tensor],  # noqa: UP006
        device: torch.device = "cpu",  # type: ignore[assignment]
    ) -> Dict[str, torch.Tensor]:  # noqa: UP006
        """Moves a parsed batch to the device, repeats what is user-side, and scores it."""
        moved = {key: data[key].to(device) for keys in self.features.values() for key in keys}
        item_side: Optional[torch.Tensor] = moved[self.row_key] if self.row_key else None  # noqa: UP045
        counts = tiling.counts_of(data[tiling.BATCH_SIZE].to(device), item_side)
        batch = {**moved, tiling.COUNTS: counts, tiling.USERS: tiling.user_of_row(counts)}
        for name in sorted(self.how.users & self.features.keys()):
            own = {key: moved[key] for key in self.features[name]}
            batch.update({f"{key}{tiling.ONCE}": tensor for key, tensor in own.items()})
            batch.update(_tiled(name, own, counts, batch[tiling.USERS]))
        return cast("dict[str, torch.Tensor]", self.model(batch))


def _per_row(feature: Feature) -> Iterator[str]:
    """Keys of a feature that have one entry per row."""
    yield f"{feature.name}.lengths" if feature.is_sparse or feature.is_sequence else f"{feature.name}.values"


def _tiled(
    name: str, own: Mapping[str, torch.Tensor], counts: torch.Tensor, users: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a user-side feature, for each row."""
    lengths = own.get(f"{name}.lengths")
    if lengths is None:
        yield f"{name}.values", tiling.tile_rows(own[f"{name}.values"], counts, users)
        return
    yield f"{name}.lengths", tiling.tile_rows(lengths, counts, users)
    ids = lengths
    if f"{name}.key_lengths" in own:
        key_lengths = own[f"{name}.key_lengths"]
        yield f"{name}.key_lengths", tiling.tile_steps(key_lengths, lengths, counts, users)
        ids = jagged.ids_per_row(key_lengths, lengths)
    for part in ("values", "weights"):
        if f"{name}.{part}" in own:
            yield f"{name}.{part}", tiling.tile_steps(own[f"{name}.{part}"], ids, counts, users)
