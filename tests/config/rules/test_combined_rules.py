"""Rules about parts of a config that work together: models, towers, labels, sequences, training."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recinfer.config.check import check_config
from recinfer.protos.pipeline_pb2 import EasyRecConfig

Edited = Callable[..., EasyRecConfig]

USER = 'id_feature { feature_name: "user_id" embedding_dim: 16 hash_bucket_size: 100 }'


@pytest.mark.parametrize("mode", ["FG_NORMAL", "FG_DAG", "FG_BUCKETIZE"])
def test_feature_generation(edited: Edited, mode: str) -> None:
    said = [str(problem) for problem in check_config(edited(("FG_NONE", mode)))]
    hint = "generate the features beforehand and set fg_mode: FG_NONE"
    assert f"`{mode}` is not supported: data_config.fg_mode ({hint})" in said
    # Generated features come from somewhere.
    assert "`expression` is missing: feature_configs[0].id_feature" in said


def test_feature_generation_by_the_superseded_field(edited: Edited) -> None:
    said = [str(problem) for problem in check_config(edited(("fg_mode: FG_NONE", "fg_encoded: false")))]
    assert any(text.startswith("`fg_encoded: false` is not supported: data_config.fg_encoded") for text in said)


def test_no_model(good: EasyRecConfig) -> None:
    good.model_config.ClearField("multi_tower_din")
    assert [problem.what for problem in check_config(good)] == ["no model is set"]
    del good.model_config.feature_groups[:]
    good.model_config.deepfm.deep.hidden_units.append(1)
    assert [problem.what for problem in check_config(good)] == ["`feature_groups` is empty"]


def test_supported_models(good: EasyRecConfig) -> None:
    assert check_config(good, supported_models={"multi_tower_din"}) == []
    assert check_config(good, supported_models={"MultiTowerDIN"}) == []
    problems = check_config(good, supported_models={"deepfm", "wide_and_deep"})
    assert [str(problem) for problem in problems] == [
        "`multi_tower_din` is not supported: model_config (supported models: deepfm, wide_and_deep)"
    ]


def test_optimizers_are_required_once_training_is_configured(good: EasyRecConfig) -> None:
    good.train_config.num_epochs = 1
    assert [str(problem) for problem in check_config(good)] == [
        "`sparse_optimizer` is missing: train_config",
        "`dense_optimizer` is missing: train_config",
    ]
    good.train_config.dense_optimizer.SetInParent()
    # lr is required too, but has a default.
    good.train_config.sparse_optimizer.adam_optimizer.SetInParent()
    assert check_config(good) == []


def test_a_feature_that_only_wide_groups_read_needs_no_dim(edited: Edited) -> None:
    wide = 'feature_groups { group_name: "wide" group_type: WIDE feature_names: "user_id" }'
    without = ('feature_names: ["user_id", "item_id"', 'feature_names: ["item_id"')
    combo = (USER, 'combo_feature { feature_name: "user_id" hash_bucket_size: 9 }')
    added = ("model_config {", f"model_config {{ {wide}")
    assert check_config(edited(combo, without, added)) == []
    assert [problem.what for problem in check_config(edited(combo, added))] == ["`embedding_dim` is not set"]


def test_task_labels_and_weights(multi_task: EasyRecConfig) -> None:
    first, second = multi_task.model_config.dbmtl.task_towers
    first.label_name = "click"
    first.sample_weight_name = "weight"
    second.task_space_indicator_label = "by"
    assert [str(problem) for problem in check_config(multi_task)] == [
        "`click` is not in data_config.label_fields: model_config.dbmtl.task_towers[0].label_name "
        "(did you mean `clk`?)",
        "`weight` is not in data_config.sample_weight_fields: model_config.dbmtl.task_towers[0].sample_weight_name "
        '(add sample_weight_fields: "weight")',
        "`by` is not in data_config.label_fields: model_config.dbmtl.task_towers[1].task_space_indicator_label "
        "(did you mean `buy`?)",
    ]
    multi_task.data_config.sample_weight_fields.append("weight")
    assert len(check_config(multi_task)) == 2


def test_fused_tasks(good: EasyRecConfig) -> None:
    good.model_config.dlrm_hstu.fusion_mtl_tower.task_configs.add(task_name="ctr", label_name="click")
    said = [str(problem) for problem in check_config(good)]
    path = "model_config.dlrm_hstu.fusion_mtl_tower.task_configs[0].label_name"
    assert f"`click` is not in data_config.label_fields: {path} (did you mean `clk`?)" in said


def test_towers(multi_task: EasyRecConfig) -> None:
    first, second = multi_task.model_config.dbmtl.task_towers
    first.relation_tower_names.append("cvr")
    second.relation_tower_names.append("ctrr")
    assert [str(problem) for problem in check_config(multi_task)] == [
        "tower `cvr` does not stand before `ctr`: model_config.dbmtl.task_towers[0].relation_tower_names "
        "(reorder them)",
        "tower `ctrr` is not defined: model_config.dbmtl.task_towers[1].relation_tower_names (did you mean `ctr`?)",
    ]
    del first.relation_tower_names[:], second.relation_tower_names[:]
    second.tower_name = "ctr"
    assert [problem.what for problem in check_config(multi_task)] == ["tower name `ctr` is used 2 times"]


def test_inputs_deep_inside_a_model(good: EasyRecConfig) -> None:
    tower = good.model_config.mind.user_tower
    tower.input, tower.history_input = "deep", "history"
    good.model_config.mind.item_tower.input = "item"
    where = {problem.where for problem in check_config(good) if "feature group" in problem.what}
    assert where == {"model_config.mind.user_tower.history_input", "model_config.mind.item_tower.input"}


def test_sequences(good: EasyRecConfig) -> None:
    sequence = good.feature_configs[4].sequence_feature
    sequence.ClearField("sequence_length")
    sequence.features.add()
    assert [str(problem) for problem in check_config(good)] == [
        "`sequence_length` is missing: feature_configs[4].sequence_feature",
        "no feature is set: feature_configs[4].sequence_feature.features[2]",
    ]
    del sequence.features[:]
    assert "sequence `clicks` has no `features`" in [problem.what for problem in check_config(good)]
