"""Random models over random features and groups with random layers: however a model is carried, it scores the same."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from torchrec import EmbeddingBagCollection

import recinfer
from recinfer.config.activations import ACTIVATIONS
from recinfer.config.save import to_text
from recinfer.data.parser import Parser
from recinfer.export.exporter import write_export
from recinfer.export.job import FOLD_BYTES, ExportJob
from recinfer.features.base import Feature
from recinfer.models import MODELS, Model
from recinfer.nn.half_bag import pool_in_single_precision
from recinfer.predict.scorer import Scorer
from recinfer.train.checkpoint import Position, TrainState, save
from recinfer.train.learner import ModelHolder
from tests.models.parity import TOLERANCE, check_learns, check_scripted
from tests.models.random_configs import feature_text, group, model_text
from tests.synthetic import DEEP, config_of, make_table, model_of

# Nulls and empty lists among others, everything null, no history at all, and nothing null, with whole histories.
TABLES = {
    "many": make_table(64, 5),
    "one": make_table(1, 6, nulls=0.0),
    "empty": make_table(7, 7, nulls=1.0),
    "no history": make_table(7, 8, longest=0),
    "full": make_table(40, 9, nulls=0.0),
    "none": make_table(0, 10),
}


def carried(config: object, model: Model, features: list[Feature], folder: Path, fold_bytes: int) -> dict[str, Scorer]:
    """The model as an export with single-precision tables, and as a checkpoint beside its config."""
    write_export(
        ExportJob(
            config=config,
            model=model,
            features=features,
            fingerprint="random",
            quant_emb="FP32",
            quant_ec_emb="FP32",
            parity_rows=lambda: (TABLES["many"], "made up"),
            parity_bound=1e-3,
            fold_bytes=fold_bytes,
        ),
        folder / "export",
    )
    save(TrainState(ModelHolder(model)), Position(step=7), folder / "trained")
    (folder / "trained" / "pipeline.config").write_text(to_text(config))
    return {
        "export": recinfer.load_scorer(folder / "export"),
        "checkpoint": recinfer.load_scorer(folder / "trained"),
    }


def adding_as_exports_do(model: Model) -> Model:
    """The model with the sums over rows of its FP16 tables in single precision; else they are FP16 themselves."""
    made = copy.deepcopy(model)
    for module in made.modules():
        if isinstance(module, EmbeddingBagCollection):
            pool_in_single_precision(module)
    return made


@pytest.mark.parametrize("kind", sorted(MODELS))
@settings(max_examples=1, phases=[Phase.generate])
@given(data=st.data())
def test_exported_and_saved_are_eager(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_all_ways(kind, data, tmp_path_factory)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(MODELS))
@settings(max_examples=5, phases=[Phase.generate])
@given(data=st.data())
def test_more_models(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    check_all_ways(kind, data, tmp_path_factory)


def check_all_ways(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A random model of a kind scores all tables alike: eager, as a script in an export, and from a checkpoint."""
    # Not the barest config, which hypothesis would start with.
    assume(data.draw(st.integers(0, 1 << 30)))
    config = config_of(data.draw(model_text(kind)), features=data.draw(feature_text()))
    fold_bytes = data.draw(st.sampled_from([0, FOLD_BYTES]))
    model, features = model_of(config)
    scorers = carried(config, model, features, tmp_path_factory.mktemp(kind), fold_bytes)
    ways = {"checkpoint": (model, scorers["checkpoint"]), "export": (adding_as_exports_do(model), scorers["export"])}
    for rows, table in TABLES.items():
        for name, (eager, scorer) in ways.items():
            with torch.no_grad():
                want = eager(Parser(features, for_model=True)(table))
            assert {len(value) for value in want.values()} == {table.num_rows}
            scored = scorer.score(table)
            assert set(scored.column_names) == set(want), f"{name} of {rows}"
            for key, expected in want.items():
                got = torch.tensor(scored[key].to_pylist(), dtype=torch.float32).reshape(expected.shape)
                torch.testing.assert_close(got, expected, rtol=TOLERANCE, atol=TOLERANCE)
    out = check_learns(model, features, spared=[""])
    assert all(value.isfinite().all() for value in out.values())


@pytest.mark.parametrize(
    "options",
    ["use_bn: true dropout_ratio: 0.2", "use_ln: true bias: false dropout_ratio: [0.1, 0.2]", ""],
    ids=["batch norm", "layer norm", "plain"],
)
def test_every_activation(options: str) -> None:
    layers = [
        f'{{ hidden_units: [4, 3] activation: "{name}" {options} }}'
        for name in ["", "Dice", *(f"nn.{name}" for name in ACTIVATIONS)]
    ]
    towers = " ".join(f'towers {{ input: "deep_{place}" mlp {each} }}' for place, each in enumerate(layers))
    groups = " ".join(group(f"deep_{place}", [DEEP[place % len(DEEP)]]) for place in range(len(layers)))
    sequence = group("seq", ["movie_id", "history__movie_id", "history__mood"], kind="SEQUENCE")
    attention = " ".join(f'din_towers {{ input: "seq" attn_mlp {each} }}' for each in layers)
    model, features = model_of(
        config_of(f"{groups} {sequence} multi_tower_din {{ {towers} {attention} final {layers[0]} }}")
    )
    check_scripted(model, features)
