"""What training refuses of a config before anything is built."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recinfer.config.save import save_pipeline_config
from recinfer.errors import ConfigError
from recinfer.main import train_and_evaluate
from recinfer.main.config import validate
from recinfer.train.readiness import training_problems


def test_nothing_is_wrong(config: Any) -> None:
    assert training_problems(config) == []
    config.ClearField("train_config")
    assert training_problems(config) == []


def test_all_at_once(edit: Callable[[str], Any], tmp_path: Path) -> None:
    config = edit(
        'train_config { sparse_optimizer { adam_optimizer { lr: 0.1 } } mixed_precision: "FP8" '
        'fine_tune_checkpoint: "there" fine_tune_ckpt_param_map: "nowhere" }'
    )
    said = [str(problem) for problem in training_problems(config)]
    assert said == [
        "train_config.mixed_precision: 'FP8' is unknown: train_config (use BF16 or FP16, or leave it out)",
        "train_config.sparse_optimizer.adam_optimizer is not supported on CPU: fbgemm offers it on GPUs only: "
        "train_config (choose one of sgd_optimizer, adagrad_optimizer, rowwise_adagrad_optimizer)",
        "train_config.fine_tune_ckpt_param_map 'nowhere' cannot be read: "
        "[Errno 2] No such file or directory: 'nowhere': train_config",
    ]
    # On a GPU the optimizer is there.
    assert [str(problem) for problem in training_problems(config, "cuda")] == [said[0], said[2]]
    # Validation says the same.
    save_pipeline_config(config, tmp_path / "pipeline.config")
    assert [str(problem) for problem in validate(tmp_path / "pipeline.config")] == said


def test_one_problem_of_a_setting_does_not_hide_another(edit: Callable[[str], Any]) -> None:
    config = edit(
        "train_config { grad_clipping { max_gradient: -1 } dense_optimizer { ema { decay: 2 } } "
        'sparse_optimizer { lamb_optimizer {} } tensorboard_summaries: "gradeint" save_checkpoints_timestamps: 3 }'
    )
    said = "\n".join(str(problem) for problem in training_problems(config))
    for word in ("max_gradient", "ema.decay", "lamb_optimizer", "gradeint", "timestamps"):
        assert word in said


def test_training_refuses_before_it_builds(edit: Callable[[str], Any], tmp_path: Path) -> None:
    """Else the table, of more rows than any memory holds, would come first."""
    config = edit("train_config { sparse_optimizer { lamb_optimizer {} } }")
    config.feature_configs[0].id_feature.num_buckets = 1 << 60
    save_pipeline_config(config, tmp_path / "pipeline.config")
    with pytest.raises(ConfigError, match=r"lamb_optimizer is not supported on CPU.*rowwise_adagrad_optimizer"):
        train_and_evaluate(tmp_path / "pipeline.config")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sparse_optimizer { rmsprop_optimizer {} }", "rmsprop_optimizer is not supported: fbgemm has no such"),
        ("sparse_optimizer { exponential_decay_learning_rate {} }", "decay_size must be at least 1"),
        ("dense_optimizer { cosine_annealing_learning_rate {} }", "T_max must be at least 1"),
        ('dense_optimizer { part_optimizers { regex_pattern: "(" sgd_optimizer {} } }', "not a regular expression"),
        ('dense_optimizer { part_optimizers { regex_pattern: "a" } }', r"part_optimizers[0] names no optimizer"),
        ('fine_tune_ckpt_param_map: "names"', "without fine_tune_checkpoint"),
        ("delta_embedding_dump_config {}", "delta_embedding_dump_config is not supported"),
    ],
)
def test_each(edit: Callable[[str], Any], text: str, said: str) -> None:
    problems = training_problems(edit(f"train_config {{ {text} }}"), "cuda")
    assert any(said in str(problem) for problem in problems), problems


def test_torch_is_not_loaded() -> None:
    program = "import sys, recinfer.train.readiness; assert not {'torch', 'fbgemm_gpu'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
