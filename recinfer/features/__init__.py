"""Features: one file per kind; :data:`FEATURES` maps the config's field names to classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError
from recinfer.features.base import Feature, SequenceSpec
from recinfer.features.bool_mask import BoolMaskFeature
from recinfer.features.combine import CombineFeature
from recinfer.features.combo import ComboFeature
from recinfer.features.custom import CustomFeature
from recinfer.features.expr import ExprFeature
from recinfer.features.id import IdFeature
from recinfer.features.kv_dot_product import KvDotProduct
from recinfer.features.lookup import LookupFeature
from recinfer.features.match import MatchFeature
from recinfer.features.overlap import OverlapFeature
from recinfer.features.raw import RawFeature
from recinfer.features.tokenize import TokenizeFeature
from recinfer.protos.data_pb2 import FgMode

if TYPE_CHECKING:
    from recinfer.protos.pipeline_pb2 import EasyRecConfig

FEATURES: dict[str, type[Feature]] = {
    "id_feature": IdFeature,
    "raw_feature": RawFeature,
    "combo_feature": ComboFeature,
    "combine_feature": CombineFeature,
    "lookup_feature": LookupFeature,
    "match_feature": MatchFeature,
    "expr_feature": ExprFeature,
    "overlap_feature": OverlapFeature,
    "tokenize_feature": TokenizeFeature,
    "custom_feature": CustomFeature,
    "kv_dot_product": KvDotProduct,
    "bool_mask_feature": BoolMaskFeature,
}


def build_features(config: EasyRecConfig, table_rows: Mapping[str, int] | None = None) -> list[Feature]:
    """The features of a pipeline config, in its order.

    Args:
        config: needs ``data_config`` and ``feature_configs`` only.
        table_rows: rows per embedding table where a checkpoint knows them; used where a vocabulary file is not at hand.

    Raises:
        ConfigError: a feature asks for something that does not run here.
    """
    if config.data_config.fg_mode != FgMode.FG_NONE:
        raise ConfigError(
            f"`fg_mode: {FgMode.Name(config.data_config.fg_mode)}` is not supported: data_config",
            "generate the features first and use `fg_mode: FG_NONE`",
        )
    separator = config.data_config.fg_encoded_multival_sep
    found: list[Feature] = []
    for entry in config.feature_configs:
        kind = entry.WhichOneof("feature")
        if kind is None:
            raise ConfigError("a feature_configs entry is empty", f"give it one of {', '.join(sorted(FEATURES))}")
        for name, message, sequence in _members(kind, getattr(entry, kind)):
            found.append(_sized(FEATURES[name](message, sequence, separator), table_rows or {}))
    return found


def _members(kind: str, message: Any) -> list[tuple[str, Any, SequenceSpec | None]]:
    """The features that one entry stands for: itself, or the members of a grouped sequence."""
    if kind == "sequence_feature":
        spec = SequenceSpec(message.sequence_name, message.sequence_delim, message.sequence_length, message.sequence_pk)
        return [
            (str(m.WhichOneof("feature")), getattr(m, str(m.WhichOneof("feature"))), spec) for m in message.features
        ]
    if kind.startswith("sequence_"):
        return [
            (
                kind.removeprefix("sequence_"),
                message,
                SequenceSpec(None, message.sequence_delim, message.sequence_length),
            )
        ]
    if getattr(message, "tokens_as_sequence", False):
        return [(kind, message, SequenceSpec(None, message.sequence_delim, message.sequence_length))]
    return [(kind, message, None)]


def _sized(feature: Feature, table_rows: Mapping[str, int]) -> Feature:
    """The feature with its table's rows from a checkpoint, where its vocabulary file is not at hand."""
    if not feature.is_sparse or feature.embedding_name not in table_rows or feature.has_known_size:
        return feature
    return type(feature)(feature.config, feature.sequence, feature.separator, table_rows[feature.embedding_name])


__all__ = ["FEATURES", "Feature", "SequenceSpec", "build_features"]
