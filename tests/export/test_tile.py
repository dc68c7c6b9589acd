"""Exports that take user-side features once per user: scores equal the model's for any users and any order of rows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer import load_scorer
from recinfer.config.load import load_pipeline_config
from recinfer.errors import ModelError, UsageError
from recinfer.export.fold import fold_tables
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import script, trace
from recinfer.export.tile import Tiling, tiling_of
from recinfer.export.tile_lookups import with_lookups_once
from recinfer.features import build_features
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.features.side import is_user_side, user_side_names
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.users import first_rows
from tests.synthetic import FEATURES, MODELS, config_of, make_table, model_of, write_export_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))
CPU = torch.device("cpu")
USERS = {"user_id", "age", "profile", "tags", "recency"}


def sided(match: re.Match[str]) -> str:
    name = match[1]
    return f'feature_name: "{name}" expression: "{"user" if name in USERS else "item"}:{name}"'


SIDED = re.sub(r'feature_name: "(\w+)"', sided, FEATURES)
HISTORY = {f"history__{name}" for name in ("movie_id", "genres", "rating", "mood")}


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


def tiled_graph(config: Any, at: int, budget: int = 0) -> tuple[torch.nn.Module, list[Feature], Tiling, Any]:
    """The eager model with its inference tables, its features, how they are tiled, and the scripted tiled model."""
    model, features = model_of(config)
    how = tiling_of(at, False, features)
    assert how is not None
    whole = with_inference_tables(model, torch.float, torch.float)
    source = with_lookups_once(model, how.users) if at == 3 else model
    graph = trace(with_inference_tables(source, torch.float, torch.float), features, how)
    example = {**ragged_batch(features, 9, longest=5, seed=1), "batch_size": torch.ones(9, dtype=torch.int64)}
    fold_tables(graph, model, example, budget)
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
    check(*tiled_graph(load_pipeline_config(path), at, budget=1 << 20))


@pytest.mark.parametrize("at", [2, 3])
@pytest.mark.parametrize("model", MODELS)
def test_all_kinds_of_features(model: str, at: int) -> None:
    check(*tiled_graph(config_of(model, features=SIDED), at))


def table_of_users(seed: int, users: int, most: int) -> pa.Table:
    """Rows in which each user's stand together, 1 to ``most`` of them, with items of their own."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(users), rng.integers(1, most + 1, users))
    items, of_users = make_table(len(rows), seed), make_table(users, seed + 100).take(rows)
    for name in USERS | HISTORY:
        items = items.set_column(items.column_names.index(name), name, of_users[name])
    return items


TABLES = {
    "every row another user": make_table(300, 1),
    "runs of users": table_of_users(2, 60, 9),
    "one user": table_of_users(3, 1, 40).slice(0, 25),
    "only nulls": make_table(20, 3, nulls=1.0),
    "one row": make_table(1, 5, nulls=0.0),
    "no rows": make_table(0, 7),
}


def gap(left: pa.Table, right: pa.Table) -> float:
    assert left.schema == right.schema and left.num_rows == right.num_rows
    gaps = [np.abs(np.array(left[name]) - np.array(right[name])) for name in left.column_names]
    return max((float(each.max()) for each in gaps if each.size), default=0.0)


def check_scores(folder: Path) -> None:
    config = config_of("multi_tower_din", features=SIDED)
    eager, scorer = ModelScorer(*model_of(config), "eager", config.data_config), load_scorer(folder)
    for name, table in TABLES.items():
        assert gap(eager.score(table), scorer.score(table)) <= 1e-5, name


@pytest.fixture(scope="module", params=[2, 3])
def tiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_to(tmp_path_factory.mktemp("tiled") / "export", request.param)


def export_to(folder: Path, at: int, **changes: Any) -> Path:
    config = config_of("multi_tower_din", features=SIDED)
    features = model_of(config)[1]
    return write_export_of("multi_tower_din", folder, config=config, tiling=tiling_of(at, False, features), **changes)


def test_offline_scores_equal_the_model_s(tiled: Path) -> None:
    check_scores(tiled)


def test_offline_scores_of_an_export_that_takes_one_user_per_call(tiled: Path, tmp_path: Path) -> None:
    """As exports of the reference do: they have no manifest, and do not say that they take several."""
    folder = tmp_path / "export"
    folder.mkdir()
    for name in ("scripted_model.pt", "pipeline.config"):
        (folder / name).symlink_to(tiled / name)
    switches = json.loads((tiled / "model_acc.json").read_text())
    assert switches.pop("INPUT_TILE_MANY_USERS") == "1"
    (folder / "model_acc.json").write_text(json.dumps(switches))
    check_scores(folder)


@pytest.mark.parametrize("at", [2, 3])
def test_compiled_scores_equal_the_model_s(tmp_path: Path, at: int) -> None:
    check_scores(export_to(tmp_path / "export", at, kind="aot"))


def test_the_folder_says_so(tiled: Path) -> None:
    said = json.loads((tiled / "recinfer.json").read_text())["input_tile"]
    assert said["features"] == sorted(USERS | HISTORY)
    assert json.loads((tiled / "model_acc.json").read_text())["INPUT_TILE"] == str(said["at"])


@pytest.mark.parametrize("feature", ["user_id", "movie_id", "history__movie_id"])
def test_an_id_outside_its_table_is_an_error(tiled: Path, feature: str) -> None:
    scorer = load_scorer(tiled)
    tensors = scorer.parser(make_table(4, 1, nulls=0.0))
    tensors[f"{feature}.values"][0] = 10**6
    with pytest.raises(RuntimeError, match=r"Expected idx|num_rows"), torch.inference_mode():
        scorer.run(tensors)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (torch.tensor(4), "not the number of rows"),
        (torch.tensor([2, 3]), "one row per user"),
        (torch.tensor([5, 0]), "at least 1"),
        (torch.tensor([], dtype=torch.int64), "at least 1"),
    ],
)
def test_a_wrong_batch_size_is_an_error(tiled: Path, size: torch.Tensor, says: str) -> None:
    scorer = load_scorer(tiled)
    assert isinstance(scorer, ExportScorer)
    items, users = (scorer.parser(make_table(rows, 1, nulls=0.0)) for rows in (5, 1))
    batch = {key: (users if key.rpartition(".")[0] in USERS | HISTORY else items)[key] for key in items}
    with torch.inference_mode():
        good = scorer._model({**batch, "batch_size": torch.tensor(5)}, CPU)
        assert good["probs"].shape == (5,)
        with pytest.raises(RuntimeError, match=says):
            scorer._model({**batch, "batch_size": size}, CPU)


def test_lookups_once_see_each_user_once() -> None:
    """What is looked up for one user with many rows is as much as for one row."""
    config = config_of("multi_tower_din", features=SIDED)
    model, features = model_of(config)
    how = tiling_of(3, False, features)
    assert how is not None
    tables = with_inference_tables(with_lookups_once(model, how.users), torch.float, torch.float)
    graph = trace(tables, features, how)
    looked_up: list[int] = []
    for module in graph.modules():
        if type(module).__name__.startswith("IntNBit"):
            module.register_forward_pre_hook(
                lambda _, args, kwargs: looked_up.append(int((args or tuple(kwargs.values()))[0].numel())),
                with_kwargs=True,
            )
    assert "history__movie_id" in how.users
    counts: list[int] = []
    for rows in (1, 50):
        looked_up.clear()
        items, users = ragged_batch(features, rows, longest=0), ragged_batch(features, 1, longest=30, seed=3)
        batch = {key: (users if key.rpartition(".")[0] in how.users else items)[key] for key in items}
        with torch.inference_mode():
            graph({**batch, "batch_size": torch.tensor(rows)}, CPU)
        own = sum(batch[f"{f.name}.values"].numel() for f in features if f.is_sparse and f.name not in how.users)
        counts.append(sum(looked_up) - own)
    assert counts[0] == counts[1] > 30


def test_users_are_rows_in_a_row_that_agree() -> None:
    config = config_of("multi_tower_din", features=SIDED)
    scorer = ModelScorer(*model_of(config), "eager", config.data_config)
    for table in TABLES.values():
        names = sorted(USERS | HISTORY)
        values = [repr(row) for row in table.select(names).to_pylist()]
        parsed = first_rows(scorer.parser(table), names)
        told = [place == 0 or value != values[place - 1] for place, value in enumerate(values)]
        # Rows that differ may parse alike, such as an empty list and a null; rows that agree always do.
        assert all(t or not p for t, p in zip(told, parsed.tolist(), strict=True))
    runs = first_rows(scorer.parser(TABLES["runs of users"]), names)
    assert runs.sum() <= 60 < len(runs)
    assert first_rows(scorer.parser(TABLES["every row another user"]), names).all()


def side_of(text: str) -> bool:
    config = config_of("deepfm", features=f"data_config {{ fg_mode: FG_NONE }} feature_configs {{ {text} }}")
    return is_user_side(build_features(config)[0])


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ('id_feature { feature_name: "a" expression: "user:a" embedding_dim: 8 num_buckets: 9 }', True),
        ('id_feature { feature_name: "a" expression: "item:a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" expression: "context:a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" embedding_dim: 8 num_buckets: 9 }', False),
        ('id_feature { feature_name: "a" expression: "user" embedding_dim: 8 num_buckets: 9 }', False),
        ('combo_feature { feature_name: "a" expression: "user:a" expression: "user:b" embedding_dim: 8 }', True),
        ('combo_feature { feature_name: "a" expression: "user:a" expression: "item:b" embedding_dim: 8 }', False),
        ('lookup_feature { feature_name: "a" map: "user:a" key: "item:b" embedding_dim: 8 }', False),
        ('expr_feature { feature_name: "a" expression: "b*2" variables: "user:b" }', True),
        ('sequence_id_feature { feature_name: "a" expression: "user:a" embedding_dim: 8 num_buckets: 9 }', True),
    ],
)
def test_which_side_a_feature_is_on(text: str, user: bool) -> None:
    assert side_of(text) is user


@pytest.mark.parametrize(("key", "user"), [("", True), ("user:history", True), ("item:fans", False)])
def test_members_of_a_sequence_are_the_user_s_unless_said_otherwise(key: str, user: bool) -> None:
    member = 'features { id_feature { feature_name: "a" expression: "item:a" embedding_dim: 8 num_buckets: 9 } }'
    assert (
        side_of(f'sequence_feature {{ sequence_name: "s" sequence_length: 5 sequence_pk: "{key}" {member} }}') is user
    )


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


def test_a_damaged_switch_file_is_an_error(tiled: Path, tmp_path: Path) -> None:
    for name in ("scripted_model.pt", "pipeline.config"):
        (tmp_path / name).symlink_to(tiled / name)
    (tmp_path / "model_acc.json").write_text("{")
    with pytest.raises(ModelError, match=r"model_acc\.json is damaged"):
        load_scorer(tmp_path)
