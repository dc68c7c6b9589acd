"""Export folders that take user-side features once per user: offline scores equal the model's in any order of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from recinfer import load_scorer
from recinfer.errors import ModelError
from recinfer.export.tile import tiling_of
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.users import first_rows
from tests.sided import HISTORY, SIDED, USERS
from tests.synthetic import config_of, make_table, model_of, write_export_of

CPU = torch.device("cpu")


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


@pytest.mark.slow
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
        with pytest.raises(torch.jit.Error, match=says):
            scorer._model({**batch, "batch_size": size}, CPU)


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


def test_a_damaged_switch_file_is_an_error(tiled: Path, tmp_path: Path) -> None:
    for name in ("scripted_model.pt", "pipeline.config"):
        (tmp_path / name).symlink_to(tiled / name)
    (tmp_path / "model_acc.json").write_text("{")
    with pytest.raises(ModelError, match=r"model_acc\.json is damaged"):
        load_scorer(tmp_path)
