"""Exports checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from recinfer.main.config import PathLike, load_config

if TYPE_CHECKING:
    import pyarrow as pa

    from recinfer.env import Environment
    from recinfer.export.exporter import ExportJob
    from recinfer.export.report import ExportReport
    from recinfer.features.base import Feature
    from recinfer.models import Model


def export(
    pipeline_config: PathLike,
    export_dir: PathLike,
    *,
    checkpoint_path: PathLike | None = None,
    quant_emb: str | None = None,
    quant_ec_emb: str | None = None,
    parity_input_path: str | None = None,
    parity_rows: int = 4096,
    parity_bound: float | None = None,
    fold_mib: int | None = None,
    accelerate: str | None = None,
    device: str | None = None,
    carry: Sequence[str] = (),
    quant_dense: str | None = None,
    mixed_precision: str | None = None,
    input_tile: int | None = None,
    input_tile_3_online: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
    edit_config_json: str | None = None,
    **compile_flags: Any,
) -> ExportReport:
    """Exports a checkpoint as a folder that predicts without model code.

    Args:
        export_dir: a folder; in an object store, a URI.
        checkpoint_path: as for :func:`evaluate`; by default what ``export_config.exporter_type`` says.
        quant_emb, quant_ec_emb: types of pooled and of sequence tables; by default ``QUANT_EMB`` and ``QUANT_EC_EMB``,
            else FP32.
        parity_input_path: rows to compare scores on; by default the evaluation input, else the training input.
        parity_bound: largest difference of a probability; by default according to the table types.
        fold_mib: memory for small tables multiplied into the layers that read them, in MiB; 0 for none; 32 by default.
        quant_dense: ``int8`` for linear layers in INT8; by default ``QUANT_DENSE``, else ``none``.
        mixed_precision: ``BF16`` or ``FP16`` for products of dense layers, or ``none``; by default ``MIXED_PRECISION``,
            else ``export_config.mixed_precision``.
        accelerate: ``none`` for TorchScript alone, ``aot`` to compile the dense part ahead of time, ``aot-unified`` to
            compile all of the model, ``trt`` for TensorRT, or ``auto`` for whichever runs fastest on the processor, by
            the parity rows; by default what ``ENABLE_AOT`` or ``ENABLE_TRT`` says.
        device: ``cpu``, ``cuda`` or ``cuda:n``, that a compiled export is made for; by default the processor, and with
            TensorRT the first GPU.
        carry: what a compiled export shall carry besides, for machines where it does not run: ``jit`` (the scripted
            model), ``eager`` (the parameters).
        input_tile: 2 or 3 for an export that takes user-side features once per user, and repeats their ids or their
            embeddings; 0 for none; by default ``INPUT_TILE``.
        compile_flags: ``max_batch_size``, ``trt_max_seq_len``, ``trt_workspace_mib``, ``debug_trt``,
            ``cudnn_allow_tf32`` and ``cuda_matmul_allow_tf32``, as
            :func:`~recinfer.export.compile_options.compile_options` takes them.
        input_tile_3_online: accepted with 3, and changes nothing; by default ``INPUT_TILE_3_ONLINE``.

    Raises:
        ParityError: the export's scores stray from the model's; nothing is left behind.
        UsageError: a setting is unknown, or says nothing to the kind of export.
    """
    from recinfer.env import read_environment
    from recinfer.export.compile_options import compile_options
    from recinfer.export.exporter import ExportJob
    from recinfer.export.job import FOLD_BYTES
    from recinfer.export.kind_flags import refuse_unused
    from recinfer.export.kinds import device_for, possible_kind
    from recinfer.export.precision import precision_name
    from recinfer.export.quant_dense import dense_type_name
    from recinfer.export.quantize import table_type_name
    from recinfer.export.tile import tiling_of

    _check_place(export_dir, overwrite)
    _check_bound(parity_bound)
    config = load_config(pipeline_config, overrides, edit_config_json)
    environment = read_environment()
    types = (
        table_type_name(quant_emb or environment.quant_emb or ""),
        table_type_name(quant_ec_emb or environment.quant_ec_emb or ""),
    )
    dense = dense_type_name(quant_dense or environment.quant_dense or "")
    kind = possible_kind(accelerate, environment)
    precision = precision_name(mixed_precision, environment.mixed_precision, config.export_config.mixed_precision)
    place = device_for(kind, device)
    refuse_unused(kind, place.type, {**compile_flags, "fold_mib": fold_mib}, carry)
    options = compile_options(environment, config.export_config, device=place, **compile_flags)
    features, model, trained = _trained(config, checkpoint_path)
    tiling = tiling_of(*asked_tile(environment, input_tile, input_tile_3_online), features)
    job = ExportJob(
        config=config,
        model=model,
        features=features,
        fingerprint=trained,
        quant_emb=types[0],
        quant_ec_emb=types[1],
        parity_rows=lambda: _parity_rows(config, parity_input_path, parity_rows),
        parity_bound=parity_bound,
        fold_bytes=FOLD_BYTES if fold_mib is None else fold_mib << 20,
        kind=kind,
        compile_options=options,
        mixed_precision=precision,
        quant_dense=dense,
        carry=frozenset(carry),
        tiling=tiling,
    )
    return _write(job, export_dir, overwrite)


def asked_tile(environment: Environment, at: int | None, online: bool) -> tuple[int, bool]:
    """``--input-tile`` and ``--input-tile-3-online``, else the variables; of those, a flag also decides whether
    ``INPUT_TILE_3_ONLINE`` has a place."""
    if at is None:
        return environment.input_tile or 0, online or environment.input_tile_3_online
    return at, online or (at == 3 and environment.input_tile_3_online)


def _trained(config: Any, checkpoint_path: PathLike | None) -> tuple[list[Feature], Model, str]:
    """The features, the model with a checkpoint's parameters, and their fingerprint."""
    from recinfer.main.fingerprint import fingerprint
    from recinfer.main.model_input import choose_checkpoint, new_model
    from recinfer.train.checkpoint import load

    checkpoint = choose_checkpoint(config, checkpoint_path, config.export_config.exporter_type)
    features, model = new_model(config)
    load(model, checkpoint, use_ema=config.export_config.use_dense_ema)
    return features, model.eval(), fingerprint(checkpoint)


def _check_place(export_dir: PathLike, overwrite: bool) -> None:
    """Refuses a place in a store that holds something; of local folders that is found out as quickly later."""
    from recinfer.data.storage.remote_path import is_remote, parse_remote
    from recinfer.errors import UsageError
    from recinfer.export.remote import check_target

    if not str(export_dir):
        raise UsageError("--export_dir is empty", "name a folder")

    if is_remote(export_dir):
        check_target(parse_remote(str(export_dir)), overwrite)


def _check_bound(bound: float | None) -> None:
    from recinfer.errors import UsageError

    if bound is not None and not (math.isfinite(bound) and bound >= 0):
        raise UsageError(f"--parity-bound {bound} is no bound", "give a number of 0 or more")


def _write(job: ExportJob, export_dir: PathLike, overwrite: bool) -> ExportReport:
    from recinfer.data.storage.remote_path import is_remote, parse_remote
    from recinfer.export.exporter import write_export
    from recinfer.export.remote import put_export

    if not is_remote(export_dir):
        return write_export(job, Path(export_dir), overwrite=overwrite)
    place = parse_remote(str(export_dir))
    with TemporaryDirectory(prefix="recinfer-export-") as folder:
        report = write_export(job, Path(folder) / place.name)
        put_export(Path(folder) / place.name, place)
    return report


def _parity_rows(config: Any, given: str | None, rows: int) -> tuple[pa.Table, str]:
    """The first rows of a table that the model knows, and its path."""
    from recinfer.data.readers import open_reader
    from recinfer.data.readers.csv_options import from_data_config
    from recinfer.errors import InputError
    from recinfer.main.first_rows import first_rows

    path = given or config.eval_input_path or config.train_input_path
    if not path:
        raise InputError(
            "there are no rows to compare the export's scores on", "set eval_input_path, or give --parity-input-path"
        )
    reader = open_reader(path, csv=from_data_config(config.data_config))
    return first_rows(reader, None, rows, "give --parity-input-path"), path
