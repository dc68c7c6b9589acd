"""Writes an export folder: complete, checked, and only then under its name."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import nn

from recinfer.config.save import save_pipeline_config
from recinfer.data.swap import exchange
from recinfer.errors import OutputError
from recinfer.export import artifact
from recinfer.export.assets import gather_assets
from recinfer.export.feature_file import feature_file
from recinfer.export.fold import FoldReport, fold_tables
from recinfer.export.kinds import KINDS
from recinfer.export.parity import ParityReport, compare
from recinfer.export.quant_dense import quantize_dense
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import trace
from recinfer.features.base import Feature
from recinfer.predict.model_scorer import ModelScorer

# Memory for products of small tables and first layers: more of it wins little, and leaves the caches.
FOLD_BYTES = 32 << 20


@dataclass(frozen=True)
class ExportJob:
    """What to export.

    Attributes:
        config: the pipeline config.
        model: with its weights, in eval mode.
        features: those that the model reads.
        fingerprint: of the weights.
        quant_emb, quant_ec_emb: types of pooled and of sequence tables: FP32, FP16, INT8, INT4 or INT2.
        parity_rows: gives rows to compare scores on, and where they come from.
        parity_bound: largest difference allowed.
        fold_bytes: what products of small tables and first layers may take; 0 for none.
        quant_dense: ``int8``, or ``none``.
        kind: a key of :data:`~recinfer.export.kinds.KINDS`.
    """

    config: Any
    model: nn.Module
    features: Sequence[Feature]
    fingerprint: str
    quant_emb: str
    quant_ec_emb: str
    parity_rows: Callable[[], tuple[pa.Table, str]]
    parity_bound: float
    fold_bytes: int = FOLD_BYTES
    kind: str = "torchscript"
    quant_dense: str = "none"


@dataclass(frozen=True)
class ExportReport:
    """What an export is like.

    Attributes:
        parity: its scores against the model's.
        folded: tables that were multiplied into layers.
        quantized_layers: linear layers whose products are INT8.
    """

    parity: ParityReport
    folded: FoldReport
    quantized_layers: list[str]

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return {
            "folded": self.folded.to_json(),
            "quantized_layers": self.quantized_layers,
            "parity": self.parity.to_json(),
        }


def write_export(job: ExportJob, folder: Path, *, overwrite: bool = False) -> ExportReport:
    """Exports a model.

    Args:
        folder: must not exist, or be empty, unless ``overwrite``.

    Raises:
        OutputError: the folder holds something, or cannot be written.
        ParityError: the export's scores stray from the model's; nothing is left behind.
    """
    _check_target(folder, overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}", "choose another --export_dir") from error
    try:
        report = _fill(job, work)
        report.parity.check()
        _swap(work, folder)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written: {error}", "choose another --export_dir, or make room"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def _check_target(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists and is not empty", "choose another --export_dir, or give --overwrite")
    if not any((folder / name).is_file() for name in artifact.MODELS):
        raise OutputError(f"{folder} is no export, so --overwrite does not replace it", "choose another --export_dir")


def _fill(job: ExportJob, work: Path) -> ExportReport:
    tables = with_inference_tables(job.model, TABLE_TYPES[job.quant_emb], TABLE_TYPES[job.quant_ec_emb])
    graph = trace(tables, job.features)
    eager = ModelScorer(job.model, job.features, job.fingerprint, job.config.data_config)
    rows, source = job.parity_rows()
    folded = fold_tables(graph, job.model, eager.parser(rows), job.fold_bytes)
    quantized = quantize_dense(graph) if job.quant_dense == "int8" else []
    kind = KINDS[job.kind]
    kind.write(graph, job.features, work)
    save_pipeline_config(gather_assets(job.config, work), work / artifact.CONFIG)
    artifact.write_json(work / artifact.FEATURES, feature_file(job.features))
    artifact.write_json(work / artifact.SWITCHES, _switches(job))
    exported = kind.open(work, job.fingerprint)
    report = ExportReport(compare(eager, exported, rows, source, job.parity_bound), folded, quantized)
    artifact.write_json(
        work / artifact.MANIFEST,
        artifact.manifest(
            work,
            job.kind,
            inputs=exported.inputs,
            outputs=exported.outputs,
            model=job.fingerprint,
            report=report.to_json(),
            compiled=kind.compiled,
        ),
    )
    return report


def _switches(job: ExportJob) -> dict[str, str]:
    """``model_acc.json``: how the export was made, as strings; table types that are full precision go unsaid."""
    switches = {"SPARSE_INT64": "1", **KINDS[job.kind].switches}
    if job.quant_emb != "FP32":
        switches["QUANT_EMB"] = job.quant_emb
    if job.quant_ec_emb != "FP32":
        switches["QUANT_EC_EMB"] = job.quant_ec_emb
    return switches


def _swap(work: Path, folder: Path) -> None:
    """Puts the finished folder under its name; an older export goes only when the new one is in place."""
    work.chmod(0o755)
    if not folder.exists():
        work.rename(folder)
    elif not exchange(work, folder):
        old = work.with_name(f"{work.name}-old")
        folder.rename(old)
        work.rename(folder)
        shutil.rmtree(old)
