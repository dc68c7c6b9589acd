"""Feature groups: what a model takes its inputs from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from recinfer.errors import ConfigError
from recinfer.features.base import Feature
from recinfer.nn.pooled_embeddings import PooledEmbeddings
from recinfer.nn.sequence_embeddings import SequenceEmbeddings
from recinfer.nn.sequence_encoders import build_sequence_encoder
from recinfer.nn.sequence_groups import Encoding, nested_groups

# The reference keeps one implementation per remote or sampled data source; this is the name of the only one of ranking.
BASE = "__BASE__"


class EmbeddingGroup(nn.Module):
    """All feature groups of a model, looked up together.

    Args:
        features: all features of the config.
        groups: the config's ``feature_groups``.
        wide_dim: width of the tables of wide groups.
        wide_init_fn: initialiser of the tables of wide groups.
    """

    def __init__(
        self, features: Sequence[Feature], groups: Sequence[Any], wide_dim: int = 4, wide_init_fn: str | None = None
    ) -> None:
        super().__init__()
        by_name = {feature.name: feature for feature in features}
        deep: dict[str, list[Feature]] = {}
        wide: dict[str, list[Feature]] = {}
        sequence: dict[str, list[Feature]] = {}
        suffixes: dict[str, str] = {}
        sequence_suffixes: dict[str, str] = {}
        encodings: dict[str, list[Encoding]] = {}
        for group in groups:
            kind, name = group_type(group), group.group_name
            members = _members(group, by_name, f"feature group {name!r}")
            nested, group_encodings = nested_groups(group, kind)
            if kind in ("DEEP", "WIDE"):
                (deep if kind == "DEEP" else wide)[name] = members
                suffixes[name] = group.embedding_name_suffix
            else:
                _add_sequence(sequence, name, members)
                sequence_suffixes[name] = group.embedding_name_suffix
            for each in nested:
                where = f"sequence group {each.name!r} of feature group {name!r}"
                _add_sequence(sequence, each.name, _members(each.message, by_name, where))
                sequence_suffixes[each.name] = each.suffix
            if group_encodings:
                encodings[name] = group_encodings
        self.group_types = {group.group_name: group_type(group) for group in groups}
        self.emb_impls = nn.ModuleDict()
        self.seq_emb_impls = nn.ModuleDict()
        if deep or wide:
            self.emb_impls[BASE] = PooledEmbeddings(deep, wide, wide_dim, wide_init_fn, suffixes)
        if sequence:
            self.seq_emb_impls[BASE] = SequenceEmbeddings(sequence, sequence_suffixes)
        self._build_encoders(encodings)

    def _build_encoders(self, encodings: Mapping[str, Sequence[Encoding]]) -> None:
        # The attribute's name is part of the names of parameters.
        self._group_name_to_seq_encoders = nn.ModuleDict()
        self._encoder_inputs = {group: [each.input for each in entries] for group, entries in encodings.items()}
        for group, entries in encodings.items():
            impl = self.seq_emb_impls[BASE]
            assert isinstance(impl, SequenceEmbeddings)
            self._group_name_to_seq_encoders[group] = nn.ModuleList(
                build_sequence_encoder(
                    each.message,
                    impl.query_dim(each.input),
                    impl.step_dim(each.input),
                    f"sequence group {each.input!r} of feature group {group!r}",
                )
                for each in entries
            )

    def dims(self, group: str) -> list[int]:
        """Width of each feature of a deep or wide group, then of each of its sequence encoders.

        Raises:
            ConfigError: there is no such group.
        """
        for pooled in self.emb_impls.values():
            if isinstance(pooled, PooledEmbeddings) and group in pooled.group_dims:
                return [*pooled.group_dims[group], *(each.out_features for each in self._encoders(group))]
        raise ConfigError(f"the model reads feature group {group!r}, which is not a deep or wide one", self._hint())

    def _encoders(self, group: str) -> list[Any]:
        if group not in self._encoder_inputs:
            return []
        encoders = self._group_name_to_seq_encoders[group]
        assert isinstance(encoders, nn.ModuleList)
        return list(encoders)

    def total_dim(self, group: str) -> int:
        """Width of a deep or wide group."""
        return sum(self.dims(group))

    def sequence_dims(self, group: str) -> tuple[int, int]:
        """Widths of a sequence group's query and steps.

        Raises:
            ConfigError: there is no such group, or it lacks one of the two.
        """
        for impl in self.seq_emb_impls.values():
            if isinstance(impl, SequenceEmbeddings) and group in impl.groups:
                query, steps = impl.query_dim(group), impl.step_dim(group)
                if query and steps and query <= steps:
                    return query, steps
                raise ConfigError(
                    f"sequence group {group!r} has a query of width {query} and steps of width {steps}",
                    "a sequence group needs plain features (the query) and sequence features at least as wide",
                )
        raise ConfigError(f"the model reads sequence group {group!r}, which does not exist", self._hint())

    def _hint(self) -> str:
        return f"the config's groups: {', '.join(f'{name} ({kind})' for name, kind in self.group_types.items())}"

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Looks all groups up.

        Args:
            batch: as :class:`~recinfer.data.parser.Parser` makes it, B rows.

        Returns:
            ``<group>`` float32 [B, sum of dims] for deep and wide groups; for sequence groups ``<group>.query``
            [B, query_dim], ``<group>.sequence`` [steps, step_dim] and ``<group>.sequence_length`` [B].
        """
        out: dict[str, torch.Tensor] = {}
        for impl in [*self.emb_impls.values(), *self.seq_emb_impls.values()]:
            out.update(impl(batch))
        for group, inputs in self._encoder_inputs.items():
            pieces = [out[group]] if group in out else []
            for name, encoder in zip(inputs, self._encoders(group), strict=True):
                query = out.get(f"{name}.query")
                pieces.append(encoder(query, out[f"{name}.sequence"], out[f"{name}.sequence_length"]))
            out[group] = torch.cat(pieces, dim=1)
        return out


def group_type(group: Any) -> str:
    """``DEEP``, ``WIDE``, ``SEQUENCE`` or ``JAGGED_SEQUENCE``."""
    kinds = group.DESCRIPTOR.fields_by_name["group_type"].enum_type.values_by_number
    return str(kinds[group.group_type].name)


def _members(group: Any, features: Mapping[str, Feature], where: str) -> list[Feature]:
    missing = [name for name in group.feature_names if name not in features]
    if missing:
        raise ConfigError(
            f"{where} names features that do not exist: {', '.join(missing)}",
            "name them as in feature_configs; a member of a sequence_feature is `<sequence_name>__<feature_name>`",
        )
    return [features[name] for name in group.feature_names]


def _add_sequence(groups: dict[str, list[Feature]], name: str, members: list[Feature]) -> None:
    if name in groups:
        raise ConfigError(f"two sequence groups are called {name!r}", "give each a name of its own")
    groups[name] = members
