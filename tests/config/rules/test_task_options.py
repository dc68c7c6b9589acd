"""Options of losses and metrics, and the least weights of task losses."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from recinfer.config.check import check_config
from recinfer.protos.pipeline_pb2 import EasyRecConfig

FIRST = "model_config.dbmtl.task_towers[0]"


@pytest.fixture
def tasks(multi_task: EasyRecConfig) -> EasyRecConfig:
    """Two tasks without losses and metrics of their own."""
    for tower in multi_task.model_config.dbmtl.task_towers:
        for field in ("losses", "metrics", "train_metrics"):
            tower.ClearField(field)
    return multi_task


def said(config: EasyRecConfig, text: str) -> list[str]:
    """The problems after text is merged into the first tower."""
    text_format.Merge(text, config.model_config.dbmtl.task_towers[0])
    return [str(problem) for problem in check_config(config)]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("binary_focal_loss { alpha: 1.5 }", "losses", "binary_focal_loss with alpha 1.5"),
        ("binary_focal_loss { gamma: -1 }", "losses", "binary_focal_loss with gamma -1"),
        ("binary_cross_entropy { label_smoothing: -1 }", "losses", "binary_cross_entropy with label_smoothing -1"),
        ("contrastive_loss {}", "losses", "loss `contrastive_loss` is not supported"),
        ("auc { thresholds: 1 }", "metrics", "auc with thresholds 1"),
        ("xauc { sample_ratio: 2 }", "metrics", "xauc with sample_ratio 2"),
        ("xauc { sample_ratio: 0 }", "train_metrics", "xauc with sample_ratio 0"),
        ("recall_at_k {}", "metrics", "metric `recall_at_k` does not fit num_class 1 and its losses"),
    ],
)
def test_options(tasks: EasyRecConfig, text: str, where: str, what: str) -> None:
    (problem,) = said(tasks, f"{where} {{ {text} }}")
    assert problem.startswith(f"{what}: {FIRST}.{where}[0] (")


def test_options_of_several_classes(tasks: EasyRecConfig) -> None:
    fits = "accuracy { top_k: 3 } } metrics { recall_at_k { top_k: 2 } } metrics { multiclass_auc {}"
    assert said(tasks, f"num_class: 3 losses {{ softmax_cross_entropy {{}} }} metrics {{ {fits} }}") == []
    tasks.model_config.dbmtl.task_towers[0].ClearField("metrics")
    wrong = 'accuracy { top_k: 4 } } metrics { multiclass_auc { average: "micro" }'
    assert said(tasks, f"metrics {{ {wrong} }}") == [
        f"accuracy with top_k 4 of 3 classes: {FIRST}.metrics[0] (set it to 1 up to 3)",
        f"multiclass_auc with average `micro`: {FIRST}.metrics[1] (use macro or weighted)",
    ]


def test_metrics_that_would_share_a_name(tasks: EasyRecConfig) -> None:
    by_user, by_pid = (f'grouped_auc {{ grouping_key: "{key}" }}' for key in ("user_id", "pid"))
    assert said(tasks, f"metrics {{ {by_user} }} metrics {{ auc {{}} }} metrics {{ {by_user} }}") == []
    hint = "(keep one of them, and measure the other apart)"
    assert said(tasks, f"metrics {{ {by_pid} }}") == [
        f"two metrics that differ are both called `grouped_auc`: {FIRST}.metrics[3] {hint}"
    ]
    several = "num_class: 3 losses { softmax_cross_entropy {} }"
    tasks.model_config.dbmtl.task_towers[0].ClearField("metrics")
    tasks.model_config.dbmtl.task_towers[0].ClearField("train_metrics")
    both = "metrics { recall_at_k { top_k: 1 } } metrics { recall_at_k { top_k: 2 } }"
    assert said(tasks, f"{several} {both}") == []


def test_metrics_of_amounts(tasks: EasyRecConfig) -> None:
    metrics = 'xauc {} } metrics { grouped_xauc { grouping_key: "user_id" } } metrics { mean_absolute_error {}'
    assert said(tasks, f"losses {{ l2_loss {{}} }} metrics {{ {metrics} }} train_metrics {{ xauc {{}} }}") == []


def test_least_loss_weights(tasks: EasyRecConfig) -> None:
    tasks.model_config.use_pareto_loss_weight = True
    tower = tasks.model_config.dbmtl.task_towers[1]
    text_format.Merge("pareto_min_loss_weight: 0.5 losses { binary_cross_entropy {} }", tower)
    assert said(tasks, "pareto_min_loss_weight: 0.25 losses { binary_cross_entropy {} }") == []
    # One weight per loss: 0.25 twice.
    assert said(tasks, "losses { binary_focal_loss {} }") == [
        "`pareto_min_loss_weight` of the losses is 0.25, 0.25, 0.5: model_config.dbmtl "
        "(none may be negative, and their sum must be below 1)"
    ]
    tasks.model_config.use_pareto_loss_weight = False
    assert check_config(tasks) == []
