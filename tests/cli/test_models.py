"""``recinfer models``, and the facts that it prints."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import make_taobao
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import Result

from recinfer.catalogue import CATALOGUE, find_model, starter_config
from recinfer.catalogue.facts import ANY, FIRST
from recinfer.config import model_reads
from recinfer.config.load import parse_pipeline_config
from recinfer.errors import ConfigError
from recinfer.features import build_features
from recinfer.features.used import used_features
from recinfer.main import validate
from recinfer.models import MODELS, build_model
from recinfer.models.multi_task import MultiTaskModel
from recinfer.predict.model_scorer import ModelScorer
from recinfer.protos.model_pb2 import FeatureGroupType

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clicks") / "rows.parquet"
    pq.write_table(make_taobao.make_table(50), path)
    return path


def group_of(config: Any, name: str) -> Any:
    return next(group for group in config.model_config.feature_groups if group.group_name == name)


def test_catalogue_is_the_registry() -> None:
    assert sorted(CATALOGUE) == sorted(MODELS)
    for name, facts in CATALOGUE.items():
        assert facts.multi_task == issubclass(MODELS[name], MultiTaskModel), name
        assert find_model(MODELS[name].__name__) is facts


@pytest.mark.parametrize("name", CATALOGUE)
def test_facts_are_those_of_the_docstring(name: str) -> None:
    facts, said = CATALOGUE[name], " ".join(inspect.cleandoc(MODELS[name].__doc__ or "").split())
    numbers = re.findall(r"arXiv:([\d.]+\d)|doi:([\w./]+\w)", said)
    if facts.paper:
        authors, year = facts.paper.split(",")[0], facts.paper.split()[-1]
        assert authors in said and year in said
        # A doi that stands in one place only is not held against anything; one in both must be the same.
        assert not numbers or any(facts.link.endswith("".join(number)) for number in numbers), numbers
    else:
        assert not numbers
    _, _, groups = said.partition("Feature groups: ")
    for group in facts.groups:
        assert {FIRST: "the first one", ANY: "tower's ``input``"}.get(group.name, f"``{group.name}``") in groups, group


@pytest.mark.parametrize("name", CATALOGUE)
def test_groups_are_needed_as_said(name: str) -> None:
    facts = CATALOGUE[name]
    for need in facts.groups:
        if need.name in (FIRST, ANY):
            continue
        config = parse_pipeline_config(starter_config(facts))
        features = build_features(config)
        assert FeatureGroupType.Name(group_of(config, need.name).group_type) == need.type
        if need.optional:
            config.model_config.feature_groups.remove(group_of(config, need.name))
            # DeepFM pairs all of `deep` where there is no `fm`, and numbers have no width in common with embeddings.
            if need.name == "fm":
                group_of(config, "deep").feature_names.remove("ad_ctr")
            build_model(config, features)
        else:
            group_of(config, need.name).group_name = "other"
            with pytest.raises(ConfigError, match=need.name):
                build_model(config, features)


def test_validation_knows_of_the_same_groups() -> None:
    for name, facts in CATALOGUE.items():
        needed = {need.name for need in facts.groups if not need.optional}
        optional = {need.name for need in facts.groups if need.optional}
        assert (FIRST in needed) == (name in model_reads.READ_FIRST)
        assert ("sparse" in needed) == (name in model_reads.DENSE_AND_SPARSE)
        assert needed - {FIRST, ANY, "sparse"} == set(model_reads.NEEDED.get(name, ()))
        assert optional == set(model_reads.READ_IF_THERE.get(name, ()))


@pytest.mark.parametrize("name", CATALOGUE)
def test_printed_configs_work(name: str, run: Run, clicks: Path, tmp_path: Path) -> None:
    path = tmp_path / "starter.config"
    path.write_text(run("models", name).stdout, encoding="utf-8")
    assert validate(path, data=str(clicks)) == []

    config = parse_pipeline_config(path.read_text(encoding="utf-8"))
    torch.manual_seed(0)
    features = build_features(config)
    model = build_model(config, features).eval()
    scores = ModelScorer(model, used_features(config, features), "", None).score(pq.read_table(clicks))
    columns = [column for column in scores.column_names if column.startswith("probs")]
    assert len(columns) == (2 if CATALOGUE[name].multi_task else 1)
    for column in columns:
        values = np.array(scores[column])
        assert len(values) == 50 and values.min() > 0 and values.max() < 1 and values.std() > 0


def test_printed_columns_are_those_of_the_script(clicks: Path) -> None:
    for facts in CATALOGUE.values():
        said = re.search(r"# Columns: (.*)\. Ids", starter_config(facts))
        assert said is not None
        columns = said[1].split(", ")
        schema: pa.Schema = pq.read_schema(clicks)
        assert set(columns) <= set(schema.names)
        config = parse_pipeline_config(starter_config(facts))
        for feature in config.feature_configs:
            kind = feature.WhichOneof("feature")
            if kind == "id_feature":
                assert feature.id_feature.num_buckets == make_taobao.CARDINALITY[feature.id_feature.feature_name]


def test_list_names_every_model_paper_and_group(run: Run) -> None:
    page = run("models").stdout
    for facts in CATALOGUE.values():
        assert f"\n  {facts.name} " in page and facts.paper in page and facts.link in page
        assert all(str(group) in page for group in facts.groups)
    assert page.index("deepfm") < page.index("multi-task:") < page.index("mmoe")


def test_json(run: Run) -> None:
    every = json.loads(run("models", "--json").stdout)
    assert [each["name"] for each in every] == list(CATALOGUE)
    assert all("config" not in each and each["groups"] for each in every)
    one = json.loads(run("models", "deepfm", "--json").stdout)
    assert one.pop("config") == run("models", "deepfm").stdout
    assert one in every
    assert {"name": "wide", "type": "WIDE", "optional": True}.items() <= one["groups"][2].items()


@pytest.mark.parametrize("name", ["dcn_v2", "DCN-V2", "DCN v2", "DCNV2"])
def test_names_are_taken_in_any_spelling(name: str, run: Run) -> None:
    assert run("models", name).stdout == starter_config(CATALOGUE["dcn_v2"])


@pytest.mark.parametrize(("name", "hint"), [("deepfn", "did you mean `deepfm`?"), ("qqq", "wide_and_deep, deepfm")])
def test_a_model_that_is_not_there(name: str, hint: str, run: Run) -> None:
    result = run("models", name)
    assert result.exit_code == ConfigError.exit_code
    assert f"no model `{name}`" in result.stderr and hint in result.stderr
