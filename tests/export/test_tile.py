"""Exports that take user-side features once per user: scores equal the model's for any users and any order of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx
from torchrec import KeyedJaggedTensor

from recinfer.config.load import load_pipeline_config, parse_pipeline_config
from recinfer.errors import UsageError
from recinfer.export.contents import input_tensors
from recinfer.export.fold import fold_tables
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import script, trace
from recinfer.export.tile import Tiling, tiling_of
from recinfer.export.tile_lookups import with_lookups_once
from recinfer.export.two_parts import write_lookups
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.features.side import user_side_names
from tests.sided import SIDED
from tests.synthetic import MODELS, SPARSE, config_of, model_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))
CPU = torch.device("cpu")


def repeated(batch: dict[str, torch.Tensor], names: frozenset[str], counts: Sequence[int]) -> dict[str, torch.Tensor]:
    """The batch with the rows of some features repeated, row by row."""
    out = dict(batch)
    for name in {key.rpartition(".")[0] for key in batch} & names:
        parts = {key: tensor for key, tensor in batch.items() if key.rpartition(".")[0] == name}
        grown: dict[str, list[torch.Tensor]] = {key: [] for key in parts}
        for user, count in enumerate(counts):
            for key, piece in row_of(parts, name, user).items():
                grown[key] += [piece] * count
        out.update({key: torch.cat(pieces) for key, pieces in grown.items()})
    return out


def row_of(parts: dict[str, torch.Tensor], name: str, row: int) -> dict[str, torch.Tensor]:
    """One row of a feature, found by walking over those before it."""
    values, lengths = parts[f"{name}.values"], parts.get(f"{name}.lengths")
    if lengths is None:
        return {f"{name}.values": values[row : row + 1]}
    start, stop = int(lengths[:row].sum()), int(lengths[: row + 1].sum())
    found = {f"{name}.lengths": lengths[row : row + 1]}
    if f"{name}.key_lengths" in parts:
        steps = parts[f"{name}.key_lengths"]
        found[f"{name}.key_lengths"] = steps[start:stop]
        start, stop = int(steps[:start].sum()), int(steps[:stop].sum())
    for part in ("values", "weights"):
        if f"{name}.{part}" in parts:
            found[f"{name}.{part}"] = parts[f"{name}.{part}"][start:stop]
    return found


def traced(config: Any, at: int, budget: int = 0) -> tuple[torch.nn.Module, list[Feature], Tiling, fx.GraphModule]:
    """The eager model with its inference tables, its features, how they are tiled, and the tiled model."""
    model, features = model_of(config)
    how = tiling_of(at, False, features)
    assert how is not None
    whole = with_inference_tables(model, torch.float, torch.float)
    source = with_lookups_once(model, how.users) if at == 3 else model
    graph = trace(with_inference_tables(source, torch.float, torch.float), features, how)
    example = {**ragged_batch(features, 9, longest=5, seed=1), "batch_size": torch.ones(9, dtype=torch.int64)}
    fold_tables(graph, model, example, budget)
    return whole, features, how, graph


def scripted(config: Any, at: int, budget: int = 0) -> tuple[torch.nn.Module, list[Feature], Tiling, Any]:
    """As :func:`traced`, scripted."""
    whole, features, how, graph = traced(config, at, budget)
    return whole, features, how, script(graph)


CASES: list[tuple[list[int], int]] = [([4], 3), ([1], 3), ([5], 0), ([2, 1, 3], 4), ([1, 1, 1], 2), ([1, 6], 7)]


def check(whole: torch.nn.Module, features: list[Feature], how: Tiling, tiled: Any) -> None:
    for counts, longest in CASES:
        rows = sum(counts)
        items = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        users = ragged_batch(features, len(counts), longest=longest, seed=7 * rows + longest)
        batch = {key: (users if key.rpartition(".")[0] in how.users else items)[key] for key in items}
        size = torch.tensor(counts if len(counts) > 1 else counts[0])
        with torch.inference_mode():
            wanted = whole(repeated(batch, how.users, counts))
            got = tiled({**batch, "batch_size": size}, CPU)
        assert list(wanted) == list(got)
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model(path: Path, at: int) -> None:
    check(*scripted(load_pipeline_config(path), at, budget=1 << 20))


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_all_kinds_of_features(model: str, at: int) -> None:
    check(*scripted(config_of(model, features=SIDED), at))


# A table of both sides, zero-collision tables of both, steps of both sides in one group, and no weights.
MIXED = """
data_config { fg_mode: FG_NONE }
feature_configs {
  id_feature { feature_name: "a" expression: "user:a" embedding_dim: 8 num_buckets: 9 embedding_name: "t" }
}
feature_configs {
  id_feature { feature_name: "b" expression: "item:b" embedding_dim: 8 num_buckets: 9 embedding_name: "t" }
}
feature_configs { id_feature { feature_name: "c" expression: "user:c" embedding_dim: 8 num_buckets: 7 } }
feature_configs { raw_feature { feature_name: "d" expression: "user:d" value_dim: 2 } }
feature_configs {
  id_feature { feature_name: "z" expression: "user:z" embedding_dim: 4 zch { zch_size: 6 eviction_interval: 1 lru {} } }
}
feature_configs {
  id_feature { feature_name: "y" expression: "item:y" embedding_dim: 4 zch { zch_size: 5 eviction_interval: 1 lfu {} } }
}
feature_configs {
  sequence_id_feature {
    feature_name: "s" expression: "user:s" embedding_dim: 8 num_buckets: 9 embedding_name: "t" value_dim: 0
  }
}
feature_configs {
  sequence_id_feature { feature_name: "r" expression: "item:r" embedding_dim: 4 num_buckets: 5 }
}
feature_configs {
  sequence_id_feature {
    feature_name: "q" expression: "user:q" embedding_dim: 4 zch { zch_size: 6 eviction_interval: 1 lru {} }
  }
}
feature_configs { sequence_raw_feature { feature_name: "p" expression: "user:p" value_dim: 2 } }
model_config {
  feature_groups { group_name: "deep" group_type: DEEP %s }
  feature_groups { group_name: "seq" group_type: SEQUENCE %s }
  feature_groups { group_name: "own" group_type: SEQUENCE %s }
  multi_tower_din {
    towers { input: "deep" mlp { hidden_units: 8 } }
    din_towers { input: "seq" attn_mlp { hidden_units: [8] } }
    din_towers { input: "own" attn_mlp { hidden_units: [8] } }
    final { hidden_units: 8 }
  }
  losses { binary_cross_entropy {} } num_class: 1
}
"""


def named(names: str) -> str:
    return " ".join(f'feature_names: "{name}"' for name in names)


@pytest.mark.parametrize("budget", [0, 1 << 20])
@pytest.mark.parametrize("at", [2, 3])
def test_tables_and_sequences_of_both_sides(at: int, budget: int) -> None:
    config = parse_pipeline_config(MIXED % (named("abcdzy"), named("bcdsrqp"), named("asp")))
    check(*scripted(config, at, budget))


@pytest.mark.parametrize("at", [2, 3])
def test_both_parts_of_a_split_model(tmp_path: Path, at: int) -> None:
    """What an export of kind ``aot`` compiles, before it does."""
    whole, features, how, graph = traced(config_of("multi_tower_din", features=SIDED), at)
    two = write_lookups(graph, features, tmp_path)
    lookups = torch.jit.load(tmp_path / "scripted_sparse_model.pt")

    def tiled(batch: dict[str, torch.Tensor], device: torch.device) -> Any:
        return two.parts.dense(*two.interface.arrange(lookups(batch, device)))

    check(whole, features, how, tiled)
    assert "tiling" not in two.parts.dense.code


def test_inspect_tells_which_inputs_come_once_per_user() -> None:
    features = model_of(config_of("multi_tower_din", features=SIDED))[1]
    keys = ["user_id.lengths", "movie_id.lengths", "profile.values", "batch_size"]
    shapes = {each.name: each.shape for each in input_tensors(keys, features)}
    assert shapes == {
        "user_id.lengths": ["users"],
        "movie_id.lengths": ["rows"],
        "profile.values": ["users", 3],
        "batch_size": [],
    }
    assert input_tensors(["user_id.lengths"], features)[0].shape == ["rows"]


class LookupCounter(fx.Interpreter):
    """Runs a graph and counts the ids that go to lookups."""

    ids = 0

    def run_node(self, n: fx.Node) -> Any:
        """Runs one node."""
        value = super().run_node(n)
        if isinstance(value, KeyedJaggedTensor) and n.target is KeyedJaggedTensor:
            self.ids += value.values().numel()
        return value


@pytest.mark.parametrize("at", [2, 3])
def test_how_many_ids_are_looked_up(at: int) -> None:
    """With 3, those of one user as often as they come, however many rows there are."""
    config = config_of("multi_tower_din", features=SIDED)
    model, features = model_of(config)
    how = tiling_of(at, False, features)
    assert how is not None
    source = with_lookups_once(model, how.users) if at == 3 else model
    graph = trace(with_inference_tables(source, torch.float, torch.float), features, how)
    items, users = ragged_batch(features, 50), ragged_batch(features, 1, longest=30, seed=3)
    batch = {key: (users if key.rpartition(".")[0] in how.users else items)[key] for key in items}
    counter = LookupCounter(graph)
    with torch.inference_mode():
        counter.run({**batch, "batch_size": torch.tensor(50)}, CPU)
    # The deep group's, and those of the sequence group with its query.
    read = [*SPARSE, "movie_id", "history__movie_id", "history__genres"]
    repeats = {name: 50 if at == 2 and name in how.users else 1 for name in read}
    assert counter.ids == sum(batch[f"{name}.values"].numel() * repeats[name] for name in read)


@pytest.mark.parametrize(
    ("at", "online", "says"), [(4, False, "unknown"), (2, True, "goes with INPUT_TILE=3"), (2, False, "reads none")]
)
def test_what_cannot_be_is_refused(at: int, online: bool, says: str) -> None:
    features = [feature for feature in model_of(config_of("deepfm"))[1] if not feature.is_sequence]
    assert not user_side_names(features)
    with pytest.raises(UsageError, match=says):
        tiling_of(at, online, features)


def test_nothing_is_tiled_unless_asked() -> None:
    features = model_of(config_of("deepfm", features=SIDED))[1]
    assert tiling_of(0, False, features) is None and tiling_of(1, False, features) is None
    asked = tiling_of(3, True, features)
    assert asked is not None and asked.switches["INPUT_TILE_3_ONLINE"] == "1"
