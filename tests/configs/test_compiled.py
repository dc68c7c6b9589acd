"""Every config in configs/ compiles, in part and as a whole, and scores as its model does whatever the batch."""

from __future__ import annotations

from pathlib import Path

import make_taobao
import numpy as np
import pytest
import torch

from recinfer import load_scorer
from recinfer.config.load import load_pipeline_config
from recinfer.export.exporter import ExportJob, write_export
from recinfer.features import build_features
from recinfer.features.used import used_features
from recinfer.models import build_model
from recinfer.predict.model_scorer import ModelScorer
from tests.configs import movielens_rows
from tests.configs.test_configs import CONFIGS, name_of

TABLES = {"movielens": movielens_rows.make_table, "taobao": make_taobao.make_table}
SIZES = (300, 1, 0, 17)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["aot", "aot-unified"])
@pytest.mark.parametrize("path", CONFIGS, ids=name_of)
def test_every_config_compiles(path: Path, kind: str, tmp_path: Path) -> None:
    config = load_pipeline_config(path)
    torch.manual_seed(7)
    features = build_features(config)
    model, read = build_model(config, features).eval(), used_features(config, features)
    table = TABLES[path.parent.name](600, 1).slice(0, 400)
    job = ExportJob(config, model, read, "random", "FP32", "FP32", lambda: (table, "made up"), kind=kind)
    write_export(job, tmp_path / "export")
    eager, scorer = ModelScorer(model, read, "", config.data_config), load_scorer(tmp_path / "export")
    for start, size in enumerate(SIZES):
        rows = table.slice(start, size)
        wanted, found = eager.score(rows), scorer.score(rows)
        assert found.schema == wanted.schema and found.num_rows == rows.num_rows
        for name in wanted.column_names:
            left, right = (np.array(each[name].to_pylist(), np.float64) for each in (wanted, found))
            np.testing.assert_allclose(right, left, rtol=1e-4, atol=1e-5, err_msg=name)
