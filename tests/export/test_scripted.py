"""Scripted models against eager ones, in this process and in one that knows nothing of recinfer."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recinfer import load_scorer
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.operators import LIBRARIES
from tests.synthetic import MODELS, STEPS, config_of, make_table, model_of

Exported = Callable[[str], Path]

TABLES: dict[str, pa.Table] = {
    "random": make_table(400, 1),
    "no nulls": make_table(100, 2, nulls=0.0),
    "only nulls": make_table(20, 3, nulls=1.0),
    "full length": make_table(50, 4, nulls=0.0, longest=STEPS * 20),
    "one row": make_table(1, 5, nulls=0.0),
    "one empty row": make_table(1, 6, nulls=1.0),
    "no rows": make_table(0, 7),
}


def eager_scorer(model: str) -> ModelScorer:
    built, features = model_of(config_of(model))
    return ModelScorer(built, features, "eager", None)


def largest(left: pa.Table, right: pa.Table) -> float:
    assert left.schema == right.schema and left.num_rows == right.num_rows
    gaps = [np.abs(np.array(left[name]) - np.array(right[name])) for name in left.column_names]
    return max((float(gap.max()) for gap in gaps if gap.size), default=0.0)


@pytest.mark.parametrize("model", MODELS)
def test_scripted_scores_equal_eager_ones(exported: Exported, model: str) -> None:
    eager, scripted = eager_scorer(model), ExportScorer(exported(model), "scripted")
    for name, table in TABLES.items():
        assert largest(eager.score(table), scripted.score(table)) <= 1e-5, name


@pytest.mark.parametrize("model", MODELS)
def test_a_row_scores_the_same_alone_and_among_others(exported: Exported, model: str) -> None:
    scripted = ExportScorer(exported(model), "scripted")
    table = TABLES["random"].slice(0, 40)
    alone = pa.concat_tables([scripted.score(table.slice(row, 1)) for row in range(40)])
    assert largest(alone, scripted.score(table)) <= 1e-5


def test_threads_may_share_a_scorer(exported: Exported) -> None:
    scripted = ExportScorer(exported("multi_tower_din"), "scripted")
    tables = [make_table(60, seed) for seed in range(4)]
    expected = [scripted.score(table) for table in tables]
    wrong: list[int] = []

    def work(number: int) -> None:
        for turn in range(10):
            place = (number + turn) % len(tables)
            if not scripted.score(tables[place]).equals(expected[place]):
                wrong.append(place)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Run alone: torch and the operators' libraries, and nothing of ours.
ELSEWHERE = """
import json, sys
from pathlib import Path
import torch
folder, libraries = Path(sys.argv[1]), sys.argv[2:]
for library in libraries:
    torch.ops.load_library(library)
scores = {}
for model in folder.glob("*.pt"):
    batch = torch.load(model.with_suffix(".batch"), weights_only=True)
    scripted = torch.jit.load(str(model)).eval()
    with torch.inference_mode():
        scores[model.stem] = {name: t.tolist() for name, t in scripted(batch, torch.device("cpu")).items()}
strangers = [name for name in sys.modules if name.split(".")[0] in ("recinfer", "torchrec", "fbgemm_gpu", "pyarrow")]
print(json.dumps({"scores": scores, "strangers": strangers}))
"""


def test_the_files_score_where_nothing_of_ours_is_imported(exported: Exported, tmp_path: Path) -> None:
    table = TABLES["random"]
    scorers = {model: ExportScorer(exported(model), "scripted") for model in MODELS}
    for model, scorer in scorers.items():
        torch.save(scorer.parser(table), tmp_path / f"{model}.batch")
        (tmp_path / f"{model}.pt").symlink_to(exported(model) / "scripted_model.pt")
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
    assert answer["scores"].keys() == MODELS.keys()
    for model, scores in answer["scores"].items():
        expected = scorers[model].score(table)
        assert list(scores) == expected.column_names
        for name in expected.column_names:
            np.testing.assert_allclose(scores[name], expected[name].to_pylist(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["exports", "checkpoints"])
def test_the_reference_s_own_export_and_checkpoint(shared: Path, kind: str) -> None:
    folder = shared / kind / "deepfm_criteo"
    table, expected = pq.read_table(folder / "input.parquet"), pq.read_table(folder / "expected.parquet")
    out = load_scorer(folder if kind == "exports" else folder / "model.ckpt-11").score(table)
    assert out.column_names == [name for name in expected.column_names if name != "row_id"]
    # Several workers wrote the expected rows, so they stand in another order.
    out = out.append_column("row_id", table["row_id"]).sort_by("row_id")
    expected = expected.sort_by("row_id")
    assert out["row_id"].to_pylist() == expected["row_id"].to_pylist()
    for name in ("logits", "probs"):
        np.testing.assert_allclose(np.array(out[name]), np.array(expected[name]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("feature", ["user_id", "history__movie_id"])
@pytest.mark.parametrize("outside", [-1, -2, 10**6])
def test_an_id_outside_its_table_is_an_error_without_the_parser_too(
    exported: Exported, feature: str, outside: int
) -> None:
    scripted = ExportScorer(exported("multi_tower_din"), "scripted")
    tensors = scripted.parser(make_table(4, 1, nulls=0.0))
    tensors[f"{feature}.values"][0] = outside
    with (
        pytest.raises((RuntimeError, torch.jit.Error), match=r"Expected idx|num_rows|negative"),
        torch.inference_mode(),
    ):
        scripted.run(tensors)
