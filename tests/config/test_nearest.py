from __future__ import annotations

from recinfer.config.nearest import name_hint, nearest_name


def test_nearest() -> None:
    assert nearest_name("bach_size", ["batch_size", "dataset_type"]) == "batch_size"
    assert nearest_name("csvdataset", ["CsvDataset", "OdpsDataset"]) == "CsvDataset"
    assert nearest_name("name", ["separator", "group_feature_name", "feature_name"]) == "feature_name"
    assert nearest_name("zzz", ["batch_size"]) is None
    assert nearest_name("", ["batch_size"]) is None


def test_hint_lists_a_few_names_and_no_more() -> None:
    assert name_hint("zzz", ["sum", "mean"], "poolings") == "the poolings are: sum, mean"
    assert name_hint("zzz", [f"name_{index}" for index in range(50)]) is None
    assert name_hint("zzz", []) is None
