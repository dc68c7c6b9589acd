from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from recinfer.config.check import check_config
from recinfer.config.load import load_pipeline_config
from recinfer.config.problems import Problem, raise_problems
from recinfer.config.rules import RULES
from recinfer.errors import ConfigError
from recinfer.protos.pipeline_pb2 import EasyRecConfig

SHARED = Path(__file__).parents[3] / "shared"
CONFIGS = sorted(SHARED.glob("*/*/pipeline.config"))
Edited = Callable[..., EasyRecConfig]


def test_a_good_config_has_no_problems(good: EasyRecConfig, multi_task: EasyRecConfig) -> None:
    assert check_config(good) == []
    assert check_config(multi_task) == []


@pytest.mark.skipif(not CONFIGS, reason="no goldens beside the checkout")
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.parent.name)
def test_configs_known_to_work_have_no_problems(path: Path) -> None:
    assert check_config(load_pipeline_config(path)) == []


def test_an_empty_config_lacks_everything() -> None:
    said = [str(problem) for problem in check_config(EasyRecConfig())]
    assert [text.split(" is missing")[0] for text in said] == ["`data_config`", "`model_config`", "`feature_configs`"]


def test_everything_is_said_in_one_go(edited: Edited) -> None:
    config = edited(
        ('label_fields: "clk" label_fields: "buy"', ""),
        ("ParquetDataset", "KafkaDataset"),
        ("hash_bucket_size: 100", "pooling: 'max'"),
        ('feature_name: "price"', 'feature_name: "prise"'),
        ('input: "seq"', 'input: "sequence"'),
    )
    said = "\n".join(str(problem) for problem in check_config(config, supported_models={"deepfm"}))
    for part in (
        "`multi_tower_din` is not supported",
        "`KafkaDataset` is not supported",
        "`label_fields` is empty",
        "the embedding table has no size: feature `user_id`",
        "pooling `max` is unknown: feature `user_id`",
        "feature `price` is not defined",
        "feature group `sequence` is not defined",
    ):
        assert part in said


def test_the_check_changes_nothing(good: EasyRecConfig) -> None:
    before = good.SerializePartialToString(deterministic=True)
    check_config(good)
    assert good.SerializePartialToString(deterministic=True) == before


def test_every_rule_is_registered_once() -> None:
    assert len(RULES) == len(set(RULES))
    folder = Path(__file__).parents[2] / "recinfer" / "config" / "rules"
    written = [line for path in folder.glob("*.py") for line in path.read_text().splitlines()]
    public = {line[4:].split("(")[0] for line in written if line.startswith("def ") and not line.startswith("def _")}
    assert public == {rule.__name__ for rule in RULES}


def test_problems_as_one_error() -> None:
    raise_problems([])
    problems = [Problem("feature `a`", "`zch` is not supported"), Problem("data_config", "no label", "name it")]
    with pytest.raises(ConfigError) as caught:
        raise_problems(problems, "my.config")
    assert caught.value.message.splitlines() == [
        "my.config: 2 problems",
        "  - `zch` is not supported: feature `a`",
        "  - no label: data_config (name it)",
    ]
