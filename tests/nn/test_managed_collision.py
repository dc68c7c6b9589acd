"""Zero-collision tables beside ordinary ones: what a group holds, computed id by id from the state dict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torchrec.modules.mc_modules import DistanceLFU_EvictionPolicy

from recinfer.data.parser import Parser
from recinfer.distributed.process_group import process_group
from recinfer.distributed.sharding import shard
from recinfer.env import Environment
from recinfer.errors import ConfigError
from recinfer.export.quantize import with_inference_tables
from recinfer.nn.embedding_group import EmbeddingGroup
from recinfer.nn.id_slots import IdSlots
from tests.nn.test_embeddings import group_of

FEATURES = """
data_config { fg_mode: FG_NONE }
feature_configs { id_feature { feature_name: "plain" num_buckets: 9 embedding_dim: 4 } }
feature_configs {
  id_feature {
    feature_name: "user" embedding_dim: 4 embedding_name: "user" zch { zch_size: 6 eviction_interval: 1 lru {} }
  }
}
feature_configs {
  id_feature {
    feature_name: "friend" embedding_dim: 4 embedding_name: "user" zch { zch_size: 6 eviction_interval: 1 lru {} }
  }
}
feature_configs {
  id_feature {
    feature_name: "tags" embedding_dim: 4 pooling: "mean" data_type: "FP16" weighted: true
    zch { zch_size: 5 eviction_interval: 1 lfu {} }
  }
}
feature_configs {
  sequence_id_feature {
    feature_name: "seen" embedding_dim: 4 sequence_delim: ";" embedding_name: "user"
    zch { zch_size: 6 eviction_interval: 1 lru {} }
  }
}
feature_configs { sequence_id_feature { feature_name: "old" embedding_dim: 4 sequence_delim: ";" num_buckets: 9 } }
"""
GROUPS = """
feature_groups { group_name: "deep" group_type: DEEP feature_names: ["tags", "plain", "user", "friend"] }
feature_groups { group_name: "wide" group_type: WIDE feature_names: ["user", "plain"] }
feature_groups { group_name: "seq" group_type: SEQUENCE feature_names: ["user", "plain", "seen", "old"] }
"""
BIG = 2**62
ROWS = pa.table(
    {
        "plain": [1, 2, 3],
        "user": pa.array([BIG, -7, None]),
        "friend": pa.array([[5, BIG], [], [-7, 99]], pa.list_(pa.int64())),
        "tags": ["8:2\x033:0.5", "", "8:1\x034"],
        "seen": pa.array([[BIG, 5], [-7], []], pa.list_(pa.int64())),
        "old": pa.array([[1, 2], [3], []], pa.list_(pa.int64())),
    }
)
# What each table was taught; all but 99 and 4 below.
TAUGHT = {"user": [BIG, -7, 5], "user_wide": [BIG, -7], "tags_emb": [8, 3]}
Vector = Callable[[int], Any]


@pytest.fixture()
def taught() -> tuple[EmbeddingGroup, Parser]:
    group, parser = group_of(GROUPS, FEATURES)
    for name, slots in group.named_modules():
        if isinstance(slots, IdSlots):
            ids = torch.tensor(TAUGHT[name.split(".")[-1]])
            # Rows in another order than ids, so that one cannot be taken for the other.
            ranked, order = torch.sort(ids)
            slots.get_buffer("_mch_sorted_raw_ids")[: len(ids)] = ranked
            slots.get_buffer("_mch_remapped_ids_mapping")[: len(ids)] = order
    return group.eval(), parser


def vector(group: EmbeddingGroup, path: str, table: str) -> Vector:
    """The embedding of an id: of its place in what was taught, else the last row."""
    weights = {name: value.float().numpy() for name, value in group.state_dict().items()}
    rows = weights[f"{path}.{table}.weight"]
    return lambda each: rows[TAUGHT[table].index(each) if each in TAUGHT[table] else len(rows) - 1]


def test_names_are_those_of_the_reference(taught: tuple[EmbeddingGroup, Parser]) -> None:
    names = set(taught[0].state_dict())
    bags, steps = "emb_impls.__BASE__.mc_ebc", "seq_emb_impls.__BASE__.mc_ec_dict.4"
    for table in ("user", "user_wide", "tags_emb"):
        assert f"{bags}._embedding_module.embedding_bags.{table}.weight" in names
        assert f"{bags}._managed_collision_collection._managed_collision_modules.{table}._mch_sorted_raw_ids" in names
    assert f"{steps}._embedding_module.embeddings.user.weight" in names
    assert f"{steps}._managed_collision_collection._managed_collision_modules.user._mch_last_access_iter" in names
    assert {name for name in names if ".ebc." in name} == {
        f"emb_impls.__BASE__.ebc.embedding_bags.{table}.weight" for table in ("plain_emb", "plain_emb_wide")
    }


@pytest.mark.parametrize("exported", [False, True])
def test_each_id_gets_its_row(taught: tuple[EmbeddingGroup, Parser], exported: bool) -> None:
    group, parser = taught
    model = with_inference_tables(group, torch.float, torch.float) if exported else group
    with torch.no_grad():
        out = {name: value.numpy() for name, value in model(parser(ROWS)).items()}
    bags = "emb_impls.__BASE__.mc_ebc._embedding_module.embedding_bags"
    user, wide, tags = (vector(group, bags, table) for table in ("user", "user_wide", "tags_emb"))
    nothing = np.zeros(4, np.float32)
    expected = [(2 * tags(8) + 0.5 * tags(3)) / 2, nothing, (tags(8) + tags(4)) / 2]
    np.testing.assert_allclose(out["deep"][:, :4], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(out["deep"][:, 8:12], [user(BIG), user(-7), nothing], rtol=1e-6)
    np.testing.assert_allclose(out["deep"][:, 12:], [user(5) + user(BIG), nothing, user(-7) + user(99)], rtol=1e-5)
    np.testing.assert_allclose(out["wide"][:, :4], [wide(BIG), wide(-7), nothing], rtol=1e-6)
    step = vector(group, "seq_emb_impls.__BASE__.mc_ec_dict.4._embedding_module.embeddings", "user")
    np.testing.assert_allclose(out["seq.query"][:, :4], [step(BIG), step(-7), nothing], rtol=1e-6)
    np.testing.assert_allclose(out["seq.sequence"][:, :4], [step(BIG), step(5), step(-7)], rtol=1e-6)


def test_sharded_tables_look_up_alike(taught: tuple[EmbeddingGroup, Parser]) -> None:
    """Weights, means, half precision and several tables of a feature survive the way through the ranks."""
    group, parser = taught
    batch = parser(ROWS)
    with torch.no_grad():
        expected = {name: value.clone() for name, value in group(batch).items()}
    fused = {"optimizer": EmbOptimType.EXACT_SGD, "learning_rate": 0.1}
    with process_group(Environment()) as ranks, torch.no_grad():
        sharded = shard(group, fused, ranks, torch.device("cpu")).eval()
        found = {name: value.clone() for name, value in sharded(batch).items()}
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_sharers_have_one_zch() -> None:
    with pytest.raises(ConfigError, match=r"share the table 'user', but differ in zch"):
        group_of(GROUPS, FEATURES.replace("eviction_interval: 1 lru", "eviction_interval: 2 lru", 1))
    with pytest.raises(ConfigError, match=r"'f' has no eviction policy"):
        group_of(
            'feature_groups { group_name: "deep" feature_names: "f" group_type: DEEP }',
            """data_config { fg_mode: FG_NONE }
            feature_configs { id_feature { feature_name: "f" embedding_dim: 4 zch { zch_size: 6 } } }""",
        )


def test_a_mapping_that_moves_takes_along_what_lies_beside_its_buffers() -> None:
    slots = IdSlots(
        zch_size=4, device=torch.device("cpu"), eviction_policy=DistanceLFU_EvictionPolicy(), eviction_interval=1
    )
    # The only other device that every machine has.
    slots.to(torch.device("meta"))
    assert slots.device.type == "meta"
    kept = slots._mch_metadata
    assert kept and all(slots.get_buffer(f"_mch_{name}") is each for name, each in kept.items())
