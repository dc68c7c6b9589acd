"""What the check of a config lets pass can be built, scored and trained: no model refuses it later."""

from __future__ import annotations

from random import Random

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recinfer.config.activations import ACTIVATIONS
from recinfer.config.check import check_config
from recinfer.config.init_fn import INITIALISERS, parse_init_fn
from recinfer.config.supported_models import SUPPORTED_MODELS
from recinfer.data.parser import Parser
from recinfer.errors import BadRowError, ConfigError, InputError
from recinfer.features import build_features
from recinfer.features.used import used_features
from recinfer.main.data_check import data_problems
from recinfer.models import MODELS, build_model
from recinfer.nn.activation import build_activation
from recinfer.nn.init_fn import build_init_fn
from recinfer.train.losses import check_losses
from recinfer.train.metrics import Metrics
from recinfer.train.train_metrics import TrainMetrics
from tests.models.mutations import mutate
from tests.models.random_configs import feature_text, model_text
from tests.synthetic import config_of, make_table

# A table of the wrong type for a feature is the table's fault, not the config's.
THE_TABLES = (InputError, BadRowError)
TABLE = make_table(12, 3)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pq.write_table(TABLE, path)
    return str(path)


@pytest.mark.parametrize("kind", sorted(MODELS))
@settings(max_examples=4)
@given(data=st.data())
def test_what_passes_runs(kind: str, rows: str, data: st.DataObject) -> None:
    text, of = data.draw(model_text(kind)), data.draw(feature_text())
    assert check_config(config_of(text, features=of), SUPPORTED_MODELS) == []
    random = Random(data.draw(st.integers(0, 2**32)))
    for _ in range(5):
        config = config_of(text, features=of)
        changed = mutate(config, random)
        problems = check_config(config, SUPPORTED_MODELS)
        # However broken a config is, a table is held against what is sound of it.
        data_problems(config, rows)
        try:
            features = build_features(config)
            model = build_model(config, features).eval()
            check_losses([task for task in model.tasks if task.losses])
            assert Metrics(model.tasks) and TrainMetrics(model.tasks)
            with torch.no_grad():
                model(Parser(used_features(config, features), for_model=True)(TABLE))
        except THE_TABLES:
            continue
        except Exception as error:
            # Whatever else goes wrong without a problem told is a rule that is missing.
            assert problems, f"{changed}: {type(error).__name__}: {error}"


def test_names_that_the_check_knows_are_those_that_build() -> None:
    assert sorted(SUPPORTED_MODELS) == sorted(MODELS)
    assert all(build_activation(f"nn.{name}", 3) is not None for name in ACTIVATIONS)


@pytest.mark.parametrize("name", INITIALISERS)
def test_arguments_that_the_check_knows_are_torchs(name: str) -> None:
    arguments = ",".join(f"{argument}=0.5" for argument in INITIALISERS[name])
    fill = build_init_fn(f"nn.init.{name},{arguments}" if arguments else f"nn.init.{name}", "f")
    assert fill is not None
    fill(torch.empty(2, 2))
    with pytest.raises(ValueError, match="has no argument 'z'"):
        parse_init_fn(f"nn.init.{name},z=1")
    with pytest.raises(ConfigError, match="feature 'f'"):
        build_init_fn(f"nn.init.{name},z=1", "f")
