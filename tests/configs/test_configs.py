"""Every config in configs/ trains, evaluates, exports and predicts, and learns what its rows have to teach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_taobao
import movielens_features as features
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

import recinfer
from recinfer.config.load import load_pipeline_config
from recinfer.main import validate
from recinfer.models import MODELS
from recinfer.protos.seq_encoder_pb2 import SeqEncoderConfig
from tests.configs import movielens_rows

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*/*.config"))
LABELS = {"": "label", "light": "label", "ctr": "clk", "cvr": "buy"}
# AUCs that chance does not reach on 600 rows; films are easier, since what each was rated before is a column.
LEARNED = {"movielens": 0.8, "taobao": 0.62}
# Few rows and few steps, hence larger rates than the configs have.
QUICK = [
    "data_config.batch_size=100",
    "train_config.num_epochs=3",
    "train_config.use_tensorboard=false",
    "train_config.sparse_optimizer.adagrad_optimizer.lr=0.1",
    "train_config.dense_optimizer.adam_optimizer.lr=0.005",
]


def name_of(path: Path) -> str:
    return f"{path.parent.name}-{path.stem}"


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Path]]:
    """Folder of configs -> split -> a table for them."""
    home = tmp_path_factory.mktemp("rows")
    films, ads = movielens_rows.make_table(2400, 0), make_taobao.make_table(5600, 0)
    tables = {
        "movielens": {"train": films.slice(0, 1800), "eval": films.slice(1800)},
        "taobao": {"train": ads.slice(0, 5000), "eval": ads.slice(5000)},
    }
    paths: dict[str, dict[str, Path]] = {}
    for name, splits in tables.items():
        for split, table in splits.items():
            path = home / f"{name}-{split}.parquet"
            pq.write_table(table, path)
            paths.setdefault(name, {})[split] = path
    return paths


def probabilities(out: pa.Table) -> Iterator[tuple[str, str, np.ndarray]]:
    """(column, label, rows that it is about) of each column of probabilities; PEPNet has one per domain."""
    for column in out.column_names:
        task, _, domain = column.removeprefix("probs").lstrip("_").partition("_")
        if column.startswith("probs"):
            every = np.ones(out.num_rows, bool)
            yield column, LABELS[task], np.array(out["pid"]) == int(domain) if domain else every


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_from_rows_to_predictions(path: Path, rows: dict[str, dict[str, Path]], tmp_path: Path) -> None:
    data = rows[path.parent.name]
    paths = [f"train_input_path={data['train']}", f"eval_input_path={data['eval']}", f"model_dir={tmp_path / 'model'}"]
    report = recinfer.train_and_evaluate(path, overrides=[*QUICK, *paths])
    trained = tmp_path / "model" / "pipeline.config"
    metrics = recinfer.evaluate(trained, eval_result_path=tmp_path / "eval.json")
    assert metrics == pytest.approx(report.metrics)
    recinfer.export(trained, tmp_path / "export", parity_rows=200)

    keep = {"movielens": ["label"], "taobao": ["clk", "buy", "pid"]}[path.parent.name]
    recinfer.predict(tmp_path / "export", str(data["eval"]), tmp_path / "out", reserved_columns=keep)
    out = pa.concat_tables(pq.read_table(part) for part in sorted((tmp_path / "out").glob("part-*.parquet")))
    assert out.num_rows == 600
    found = {}
    for column, label, about in probabilities(out):
        auc = roc_auc_score(np.array(out[label])[about], np.array(out[column])[about])
        found["auc" + column.removeprefix("probs")] = auc
    assert found.keys() == metrics.keys()
    for metric, auc in found.items():
        assert auc > LEARNED[path.parent.name] and metrics[metric] == pytest.approx(auc, abs=0.02), metric


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_columns_fit(path: Path, rows: dict[str, dict[str, Path]]) -> None:
    assert validate(path, data=str(rows[path.parent.name]["eval"])) == []


def test_every_model_has_a_config() -> None:
    models = [load_pipeline_config(path).model_config.WhichOneof("model") for path in CONFIGS]
    assert sorted(models) == sorted(MODELS)
    assert models == [path.stem for path in CONFIGS]


def sizes(config: Any) -> dict[str, int]:
    """Column -> num_buckets of every feature that has them."""
    found = {}
    for feature in config.feature_configs:
        kind = feature.WhichOneof("feature")
        message = getattr(feature, kind)
        nested = kind == "sequence_feature"
        for inner in message.features if nested else [feature]:
            settings = getattr(inner, inner.WhichOneof("feature"))
            name = f"{message.sequence_name}__{settings.feature_name}" if nested else settings.feature_name
            if hasattr(settings, "num_buckets") and settings.num_buckets:
                found[name] = settings.num_buckets
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_tables_are_as_large_as_the_columns_need(path: Path) -> None:
    expected = {"movielens": features.CARDINALITY, "taobao": make_taobao.CARDINALITY}[path.parent.name]
    found = sizes(load_pipeline_config(path))
    assert len(found) >= 8
    assert found == {name: expected[name] for name in found}


@pytest.mark.parametrize("folder", ["movielens", "taobao"])
def test_models_of_a_folder_differ_in_nothing_but_the_model(folder: str) -> None:
    """So that docs/models.md compares models, and not settings."""
    seen = []
    for path in CONFIGS:
        if path.parent.name == folder:
            config = load_pipeline_config(path)
            assert config.model_dir == f"quickstart/models/{path.stem}"
            for name in ("model_dir", "feature_configs", "model_config"):
                config.ClearField(name)
            # WuKong is best on the validation split after one epoch; see docs/models.md.
            if path.stem == "wukong":
                config.train_config.num_epochs += 1
            # PEPNet learns per place of an ad, so that place is a label too.
            if list(config.data_config.label_fields) == ["clk", "buy", "pid"]:
                config.data_config.label_fields.pop()
            seen.append(config)
    assert len(seen) > 5 and all(config == seen[0] for config in seen)


@pytest.mark.parametrize("path", sorted((ROOT / "examples" / "movielens").glob("*.config")), ids=lambda path: path.stem)
def test_the_examples_are_the_same_models(path: Path) -> None:
    example, config = (load_pipeline_config(each) for each in (path, ROOT / "configs" / "movielens" / path.name))
    example.model_dir = config.model_dir
    assert example == config


def test_sequence_encoders_all_occur() -> None:
    kinds = {
        encoder.WhichOneof("seq_module")
        for path in CONFIGS
        for group in load_pipeline_config(path).model_config.feature_groups
        for encoder in group.sequence_encoders
    }
    assert kinds == {field.name for field in SeqEncoderConfig.DESCRIPTOR.fields}
