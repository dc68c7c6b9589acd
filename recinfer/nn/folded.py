"""A linear layer over pooled embeddings, with small tables multiplied beforehand.

A sum-pooled embedding followed by a linear layer is linear in the rows of its table: row r adds ``table[r] @ weight``
to the layer's output. Where the table is small, these products are made once, and looked up and added from then on.
"""

from collections.abc import Sequence
from typing import List, Tuple  # noqa: UP035

import torch
from torch import nn


class FoldedIds(nn.Module):
    """Ids of several features as ids into one table, row by row.

    Args:
        starts: where each feature's rows begin in the table.
        bias_row: the table's row that every row of a batch adds once.
    """

    starts: torch.Tensor

    def __init__(self, starts: Sequence[int], bias_row: int) -> None:
        super().__init__()
        self.register_buffer("starts", torch.tensor([*starts, bias_row], dtype=torch.int64), persistent=False)

    # TorchScript knows `List` and `Tuple` by these names.
    def forward(
        self,
        values: List[torch.Tensor],  # noqa: UP006
        lengths: List[torch.Tensor],  # noqa: UP006
    ) -> Tuple[torch.Tensor, torch.Tensor]:  # noqa: UP006
        """One bag per row of the batch.

        Args:
            values: int64 ids of each feature.
            lengths: how many each row has, int32 [B].

        Returns:
            Ids, int64, and where each row's begin, int64 [B].
        """
        rows = lengths[0].numel()
        given = values + [torch.zeros(rows, dtype=torch.int64, device=values[0].device)]
        counts = torch.stack(lengths + [torch.ones_like(lengths[0])])
        if bool((counts == 1).all()):
            ids = torch.stack(given, 1) + self.starts
            return ids.reshape(-1), torch.arange(0, ids.numel(), ids.size(1), device=ids.device)
        ids = torch.cat([each + self.starts[place] for place, each in enumerate(given)])
        # Ids come feature by feature and are wanted row by row: (feature, row) cells of one bag each change places.
        cells = torch.arange(counts.numel(), dtype=torch.int32, device=ids.device).view(counts.size(0), rows)
        moved = torch.ops.fbgemm.permute_2D_sparse_data(cells.t().reshape(-1), counts.view(-1, 1), ids)[1]
        ends = counts.sum(0, dtype=torch.int64).cumsum(0)
        return moved, torch.cat([torch.zeros(1, dtype=torch.int64, device=ids.device), ends])[:-1]


class FoldedLookup(nn.Module):
    """Sums of products.

    Args:
        table: products of all folded rows, and the bias as its last row, float32 [rows, out].
    """

    table: torch.Tensor

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table)

    def forward(self, ids: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """The bags of :class:`FoldedIds` to [B, out]."""
        return torch.embedding_bag(self.table, ids, offsets, False, 0)[0]


class FoldedLinear(nn.Module):
    """What a folded linear layer still multiplies, added to the products that were looked up.

    Args:
        weight: of the inputs that stay, float32 [out, kept].

    Attributes:
        in_place: whether the sums of products may be overwritten, which saves a buffer.
    """

    in_place: bool

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.in_place = True
        self.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, kept: torch.Tensor, looked_up: torch.Tensor) -> torch.Tensor:
        """[B, kept] and the sums of products [B, out] to [B, out]."""
        if self.in_place:
            return looked_up.addmm_(kept, self.weight.t())
        return torch.addmm(looked_up, kept, self.weight.t())
