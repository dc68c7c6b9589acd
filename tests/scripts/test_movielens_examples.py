"""The example configs fit the data that get_movielens writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import get_movielens
import movielens_features as features
import pyarrow as pa
import pytest

from recinfer.config.check import check_config
from recinfer.config.load import load_pipeline_config

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "movielens").glob("*.config"))


def flat_features(config: Any) -> dict[str, Any]:
    """Column name -> settings, sub-features of sequences under their full names."""
    found = {}
    for feature in config.feature_configs:
        kind = feature.WhichOneof("feature")
        settings = getattr(feature, kind)
        if kind != "sequence_feature":
            found[settings.feature_name] = settings
            continue
        for sub in settings.features:
            inner = getattr(sub, sub.WhichOneof("feature"))
            found[f"{settings.sequence_name}__{inner.feature_name}"] = inner
    return found


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_config_fits_the_columns(path: Path) -> None:
    config = load_pipeline_config(path)
    assert check_config(config) == []
    found = flat_features(config)
    assert len(found) >= 12
    for name, settings in found.items():
        kind = get_movielens.SCHEMA.field(name).type
        value_type = kind.value_type if pa.types.is_list(kind) else kind
        if hasattr(settings, "num_buckets") and settings.num_buckets:
            assert settings.num_buckets == features.CARDINALITY[name], name
            assert value_type == pa.int64()
        else:
            assert value_type == pa.float32()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_feature_knows_the_answer(path: Path) -> None:
    assert not {"label", "rating", "timestamp", "row_id"} & set(flat_features(load_pipeline_config(path)))


def test_both_examples_are_here() -> None:
    assert [path.stem for path in EXAMPLES] == ["deepfm", "multi_tower_din"]
