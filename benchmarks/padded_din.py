"""MultiTowerDIN as it is usually written: sequences padded to the longest of the batch, all four parts concatenated."""

from __future__ import annotations

from typing import Any, Dict, cast  # noqa: UP035

import torch
from torch import nn

from benchmarks import make_sequences
from recinfer.models.multi_tower_din import MultiTowerDIN


class PaddedDIN(nn.Module):
    """The same function as the benchmark's :class:`MultiTowerDIN`, with its weights.

    Args:
        model: of :func:`benchmarks.models.build`.
    """

    def __init__(self, model: MultiTowerDIN) -> None:
        super().__init__()
        # Submodules are looked up by the names that checkpoints use, which no type checker knows.
        group: Any = model.embedding_group
        bags = group.emb_impls["__BASE__"].ebc.embedding_bags
        steps = group.seq_emb_impls["__BASE__"].ec_dict["16"].embeddings
        self.dense = [f"dense_{number}" for number in range(make_sequences.DENSE_COLUMNS)]
        self.ids = [*make_sequences.USER_COLUMNS, *make_sequences.ITEM_COLUMNS]
        self.items = list(make_sequences.ITEM_COLUMNS)
        self.tables = nn.ModuleDict(
            {name: nn.Embedding.from_pretrained(bags[f"{name}_emb"].weight) for name in self.ids}
        )
        self.step_tables = nn.ModuleDict(
            {name: nn.Embedding.from_pretrained(steps[f"{name}_emb"].weight) for name in self.items}
        )
        din: Any = model.din_towers[0]
        self.tower = _plain(model.towers["deep"])
        self.attention = nn.Sequential(*_plain(din.mlp), din.linear)
        self.final = nn.Sequential(*_plain(model.final_mlp), model.output_mlp)

    def forward(
        self,
        batch: Dict[str, torch.Tensor],  # noqa: UP006
        device: torch.device = "cpu",  # type: ignore[assignment]
    ) -> Dict[str, torch.Tensor]:  # noqa: UP006
        """Scores B rows: ids [B], dense [B, 1], ``hist_<item>`` [B, L] padded with zeros, ``lengths`` [B]."""
        columns = [batch[name] for name in self.dense]
        for name, table in self.tables.items():
            columns.append(table(batch[name]))
        deep = self.tower(torch.cat(columns, dim=1))
        queries: list[torch.Tensor] = []
        histories: list[torch.Tensor] = []
        for name, table in self.step_tables.items():
            queries.append(table(batch[name]))
            histories.append(table(batch["hist_" + name]))
        steps = torch.cat(histories, dim=2)
        query = torch.cat(queries, dim=1).unsqueeze(1).expand(-1, steps.size(1), -1)
        scores = self.attention(torch.cat([query, steps, query - steps, query * steps], dim=2)).squeeze(2)
        mask = torch.arange(steps.size(1)).unsqueeze(0) < batch["lengths"].unsqueeze(1)
        weights = torch.softmax(scores.masked_fill(~mask, -4294967295.0), dim=1)
        pooled = torch.bmm(weights.unsqueeze(1), steps).squeeze(1)
        return {"probs": torch.sigmoid(self.final(torch.cat([deep, pooled], dim=1)).squeeze(1))}


def script(model: MultiTowerDIN) -> torch.jit.ScriptModule:
    """The padded model as TorchScript."""
    return cast("torch.jit.ScriptModule", torch.jit.script(PaddedDIN(model).eval()))


def _plain(mlp: Any) -> nn.Sequential:
    """The layers of an MLP, one after the other."""
    return nn.Sequential(*(layer for perceptron in mlp.layers for layer in perceptron))
