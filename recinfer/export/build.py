"""Puts everything that an export holds into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from safetensors.torch import save_file
from torch import fx

from recinfer.config.save import save_pipeline_config
from recinfer.export import artifact
from recinfer.export.assets import gather_assets
from recinfer.export.auto import Choice, write_fastest
from recinfer.export.comparison import speeds
from recinfer.export.feature_file import feature_file
from recinfer.export.fold import fold_tables
from recinfer.export.kinds import AUTO, AUTO_KINDS, KINDS
from recinfer.export.parity import compare
from recinfer.export.quant_dense import quantize_dense
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.report import ExportReport
from recinfer.export.script import trace, write_scripted
from recinfer.export.task_auc import task_aucs
from recinfer.features.base import Feature
from recinfer.models import Model
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import WEIGHTS
from recinfer.predict.scorer import Scorer

# Memory for products of small tables and first layers: more of it wins little, and leaves the caches.
FOLD_BYTES = 32 << 20
# Rows that speeds are measured on.
SPEED_ROWS = 2048
SPEED_ROUNDS = 3


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
        kind: a key of :data:`~recinfer.export.kinds.KINDS`, or ``auto`` for the fastest.
        carry: what else the folder shall score with where a compiled part does not run: ``jit``, ``eager``.
    """

    config: Any
    model: Model
    features: Sequence[Feature]
    fingerprint: str
    quant_emb: str
    quant_ec_emb: str
    parity_rows: Callable[[], tuple[pa.Table, str]]
    parity_bound: float
    fold_bytes: int = FOLD_BYTES
    quant_dense: str = "none"
    kind: str = "torchscript"
    carry: frozenset[str] = frozenset()


def build_export(job: ExportJob, work: Path) -> ExportReport:
    """Fills a folder.

    Raises:
        ModelError: the model does not fit the kind.
    """
    eager = ModelScorer(job.model, job.features, job.fingerprint, job.config.data_config)
    rows, source = job.parity_rows()
    tables = with_inference_tables(job.model, TABLE_TYPES[job.quant_emb], TABLE_TYPES[job.quant_ec_emb])
    graph = trace(tables, job.features)
    folded = fold_tables(graph, job.model, eager.parser(rows), job.fold_bytes)
    quantized = quantize_dense(graph) if job.quant_dense == "int8" else []
    sample = _one_batch(rows.slice(0, SPEED_ROWS))
    save_pipeline_config(gather_assets(job.config, work), work / artifact.CONFIG)
    kind, choice = _write_model(job, graph, sample, work)
    _write_carried(job, graph, work)
    artifact.write_json(work / artifact.FEATURES, feature_file(job.features))
    artifact.write_json(work / artifact.SWITCHES, _switches(job, kind))
    exported = KINDS[kind].open(work, job.fingerprint)
    measured = dict(zip(("eager", "export"), speeds([eager, exported], sample, SPEED_ROUNDS), strict=True))
    scores = eager.score(rows), exported.score(rows)
    report = ExportReport(
        kind,
        {"quant_emb": job.quant_emb, "quant_ec_emb": job.quant_ec_emb, "quant_dense": job.quant_dense},
        compare(*scores, source, job.parity_bound),
        task_aucs(job.model.tasks, rows, *scores),
        measured,
        sum(path.stat().st_size for path in work.rglob("*") if path.is_file()),
        folded,
        quantized,
        choice,
    )
    manifest = artifact.manifest(
        work,
        inputs=exported.inputs,
        outputs=exported.outputs,
        model=job.fingerprint,
        report=report.to_json(),
        compiled=KINDS[kind].compiled,
    )
    artifact.write_json(work / artifact.MANIFEST, manifest)
    return report


def _write_model(
    job: ExportJob, graph: fx.GraphModule, sample: pa.RecordBatch, work: Path
) -> tuple[str, Choice | None]:
    if job.kind != AUTO:
        KINDS[job.kind].write(graph, job.features, work)
        return job.kind, None
    candidates = {
        name: (partial(KINDS[name].write, graph, job.features), lambda folder, name=name: _open(job, name, folder))
        for name in AUTO_KINDS
    }
    choice = write_fastest(candidates, sample, work)
    return choice.kind, choice


def _open(job: ExportJob, kind: str, folder: Path) -> Scorer:
    return KINDS[kind].open(folder, job.fingerprint)


def _write_carried(job: ExportJob, graph: fx.GraphModule, work: Path) -> None:
    """What ``--fallback`` scores with."""
    if "jit" in job.carry and not (work / artifact.SCRIPTED).is_file():
        write_scripted(graph, job.features, work)
    if "eager" in job.carry:
        save_file({name: tensor.contiguous() for name, tensor in job.model.state_dict().items()}, work / WEIGHTS)


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


def _switches(job: ExportJob, kind: str) -> Mapping[str, str]:
    """``model_acc.json``: how the export was made, as strings; table types that are full precision go unsaid."""
    switches = {"SPARSE_INT64": "1", **KINDS[kind].switches}
    if job.quant_emb != "FP32":
        switches["QUANT_EMB"] = job.quant_emb
    if job.quant_ec_emb != "FP32":
        switches["QUANT_EC_EMB"] = job.quant_ec_emb
    return switches
