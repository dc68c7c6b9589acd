"""What the config format knows and recinfer does not do, each named by its field."""

from __future__ import annotations

from collections.abc import Iterator

from recinfer.config.problems import Problem
from recinfer.config.view import ConfigView
from recinfer.protos.data_pb2 import DatasetType, FgMode

SUPPORTED_DATASETS = (DatasetType.ParquetDataset, DatasetType.CsvDataset)
UNSUPPORTED_FEATURE_FIELDS = ("dynamicemb",)


def model_is_supported(view: ConfigView) -> Iterator[Problem]:
    """The model is one that can be built."""
    if view.model is None or view.model_kind is None or view.supported_models is None:
        return
    if not {view.model_kind, view.model.DESCRIPTOR.name} & set(view.supported_models):
        hint = f"supported models: {', '.join(sorted(view.supported_models))}"
        yield Problem("model_config", f"`{view.model_kind}` is not supported", hint)


def data_source_is_supported(view: ConfigView) -> Iterator[Problem]:
    """Rows come from Parquet or CSV files."""
    data = view.config.data_config
    if data.HasField("dataset_type") and data.dataset_type not in SUPPORTED_DATASETS:
        name = DatasetType.Name(data.dataset_type)
        hint = f"use {' or '.join(DatasetType.Name(kind) for kind in SUPPORTED_DATASETS)}"
        yield Problem("data_config.dataset_type", f"`{name}` is not supported", hint)


def feature_generation_is_supported(view: ConfigView) -> Iterator[Problem]:
    """Features are read as columns, not generated."""
    if not view.generates_features:
        return
    data = view.config.data_config
    if data.HasField("fg_mode"):
        what, where = f"`{FgMode.Name(data.fg_mode)}`", "data_config.fg_mode"
    else:
        what, where = "`fg_encoded: false`", "data_config.fg_encoded"
    yield Problem(where, f"{what} is not supported", "generate the features beforehand and set fg_mode: FG_NONE")


def sampler_is_supported(view: ConfigView) -> Iterator[Problem]:
    """No negatives are sampled."""
    sampler = view.config.data_config.WhichOneof("sampler")
    if sampler is not None:
        yield Problem("data_config", f"`{sampler}` is not supported", "put the negatives into the data")


def feature_options_are_supported(view: ConfigView) -> Iterator[Problem]:
    """Tables that grow are not there."""
    for entry in view.features:
        for field in UNSUPPORTED_FEATURE_FIELDS:
            if entry.has(field):
                yield Problem(entry.where, f"`{field}` is not supported", "use zch, hash_bucket_size or num_buckets")
