"""Zero-collision tables through the public functions: train, score from the checkpoint, export, score elsewhere."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from google.protobuf import text_format

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.data.parser import Parser
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import script, trace
from recinfer.nn.id_slots import IdSlots
from recinfer.predict.operators import LIBRARIES
from tests.export.test_scripted import ELSEWHERE
from tests.main.test_round_trip import TRAINING
from tests.synthetic import FEATURES, MOVIES, TAGS, USERS, config_of, make_table, model_of

FAR = 2**55 + 12347
FREE = 2**63 - 1
ZCH = (
    (f"hash_bucket_size: {USERS}", "zch { zch_size: 31 eviction_interval: 2 lfu {} }"),
    (f"num_buckets: {MOVIES}", "zch { zch_size: 33 eviction_interval: 1 distance_lfu {} }"),
    (f"num_buckets: {TAGS}", "zch { zch_size: 20 eviction_interval: 2 lru {} }"),
)


def far_rows(rows: int, seed: int) -> pa.Table:
    """Synthetic rows whose users, movies and tags are ids far outside any table, some of them negative."""
    table = make_table(rows, seed)

    def moved(name: str) -> list[object]:
        shift = 2**61 if name == "user_id" else 0
        return [
            None
            if cell is None
            else [each * FAR - shift for each in cell]
            if isinstance(cell, list)
            else cell * FAR - shift
            for cell in table[name].to_pylist()
        ]

    columns = {
        "user_id": pa.array(moved("user_id"), pa.int64()),
        "movie_id": pa.array(moved("movie_id"), pa.int64()),
        "history__movie_id": pa.array(moved("history__movie_id"), pa.list_(pa.int64())),
        "tags": pa.array(
            [
                None if cell is None else [(tag * FAR, weight) for tag, weight in cell]
                for cell in table["tags"].to_pylist()
            ],
            pa.map_(pa.int64(), pa.float32()),
        ),
    }
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def zero_collision_features() -> str:
    """The synthetic features with zero-collision tables in place of three others."""
    features = FEATURES
    for old, new in ZCH:
        assert old in features
        features = features.replace(old, new)
    return features


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config, rows, a trained model folder and an export."""
    folder = tmp_path_factory.mktemp("home")
    pq.write_table(far_rows(300, 31), folder / "train.parquet")
    pq.write_table(far_rows(200, 32), folder / "eval.parquet")
    config = config_of("multi_tower_din", features=zero_collision_features())
    text_format.Merge(TRAINING, config)
    config.train_input_path = str(folder / "train.parquet")
    config.eval_input_path = str(folder / "eval.parquet")
    config.model_dir = str(folder / "model")
    for entry in config.feature_configs:
        kind = entry.WhichOneof("feature")
        members = entry.sequence_feature.features if kind == "sequence_feature" else [entry]
        for member in members:
            name = member.WhichOneof("feature")
            getattr(member, name).expression = f"user:{getattr(member, name).feature_name}"
    save_pipeline_config(config, folder / "pipeline.config")
    recinfer.train_and_evaluate(folder / "pipeline.config")
    recinfer.export(folder / "pipeline.config", folder / "export")
    return folder


def probs(table: pa.Table) -> np.ndarray:
    return np.array(table["probs"], np.float64)


def test_a_checkpoint_and_its_exports_score_alike(home: Path, tmp_path: Path) -> None:
    seen, new = pq.read_table(home / "eval.parquet"), far_rows(150, 77)
    strangers = new.set_column(
        new.schema.get_field_index("user_id"), "user_id", pa.array(np.arange(150) * 3 + 2**62, pa.int64())
    )
    trained = recinfer.load_scorer(home / "model")
    exported = recinfer.load_scorer(home / "export")
    for rows in (seen, new, strangers):
        np.testing.assert_allclose(probs(exported.score(rows)), probs(trained.score(rows)), atol=1e-5)
    assert len(np.unique(probs(trained.score(seen)))) > 100
    recinfer.export(home / "pipeline.config", tmp_path / "int8", quant_emb="INT8", quant_ec_emb="FP16")
    coarse = recinfer.load_scorer(tmp_path / "int8")
    np.testing.assert_allclose(probs(coarse.score(seen)), probs(trained.score(seen)), atol=0.02)


def test_unknown_ids_score_alike_and_known_ones_apart(home: Path) -> None:
    """One row with another user each: those without a row of their own share one, the others do not."""
    scorer = recinfer.load_scorer(home / "export")
    row = pq.read_table(home / "eval.parquet").slice(0, 1)

    def scores(users: list[int]) -> list[float]:
        rows = pa.concat_tables([row] * len(users))
        place = rows.schema.get_field_index("user_id")
        return [round(each, 6) for each in probs(scorer.score(rows.set_column(place, "user_id", pa.array(users))))]

    assert len(set(scores([2**62, -1, 2**63 - 1, -(2**63), 5]))) == 1
    known = scores([user * FAR - 2**61 for user in range(USERS)])
    # The table has 31 rows: 30 for known ids, one for all others.
    assert 25 <= len(set(known)) <= 31


def test_predict_from_checkpoint_and_export(home: Path, tmp_path: Path) -> None:
    found = {}
    for name, model in (("model", home / "model"), ("export", home / "export")):
        summary = recinfer.predict(model, str(home / "eval.parquet"), tmp_path / name, reserved_columns=["row_id"])
        assert summary.rows_out == 200
        found[name] = pq.read_table(sorted((tmp_path / name).glob("part-*.parquet")))
    assert found["model"]["row_id"].to_pylist() == found["export"]["row_id"].to_pylist() == list(range(200))
    np.testing.assert_allclose(probs(found["export"]), probs(found["model"]), atol=1e-5)


def test_the_export_scores_where_nothing_of_ours_is_imported(home: Path, tmp_path: Path) -> None:
    rows = pq.read_table(home / "eval.parquet")
    scorer = recinfer.load_scorer(home / "export")
    torch.save(recinfer.load_parser(home / "pipeline.config")(rows), tmp_path / "zch.batch")
    (tmp_path / "zch.pt").symlink_to(home / "export" / "scripted_model.pt")
    spec = importlib.util.find_spec("fbgemm_gpu")
    assert spec is not None and spec.submodule_search_locations is not None
    libraries = [str(Path(spec.submodule_search_locations[0]) / name) for name in LIBRARIES]
    run = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", ELSEWHERE, str(tmp_path), *libraries],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answer = json.loads(run.stdout)
    assert answer["strangers"] == []
    np.testing.assert_allclose(answer["scores"]["zch"]["probs"], probs(scorer.score(rows)), rtol=1e-5, atol=1e-5)


def test_wide_groups_map_the_ids_of_their_tables_for_themselves() -> None:
    """Scripted and eager scores of a random model whose tables know different halves of the ids."""
    config = config_of("wide_and_deep", features=zero_collision_features())
    model, features = model_of(config, 4)
    random = np.random.default_rng(5)
    for slots in (module for module in model.modules() if isinstance(module, IdSlots)):
        free = slots.output_size() - 1
        for ids in (np.arange(USERS) * FAR - 2**61, np.arange(MOVIES) * FAR):
            chosen = torch.from_numpy(np.sort(random.choice(ids, min(10, free // 2), replace=False)))
            taken = int((slots.get_buffer("_mch_sorted_raw_ids") != FREE).sum())
            slots.get_buffer("_mch_sorted_raw_ids")[taken : taken + len(chosen)] = chosen
        slots.validate_state()
    batch = Parser(features, for_model=True)(far_rows(120, 8))
    tables = with_inference_tables(model, torch.float, torch.float)
    scripted = script(trace(tables, features))
    with torch.no_grad():
        expected = model(batch)
        found = scripted(batch, torch.device("cpu"))
    torch.testing.assert_close(found, {name: expected[name] for name in found}, rtol=1e-5, atol=1e-5)
    assert len(found["probs"].unique()) > 60
