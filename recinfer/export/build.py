"""Puts everything that an export holds into a folder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from safetensors.torch import save_file
from torch import fx, nn

from recinfer.config.save import save_pipeline_config
from recinfer.errors import UsageError
from recinfer.export import artifact
from recinfer.export.assets import gather_assets
from recinfer.export.auto import Choice, write_fastest
from recinfer.export.batched import tables_of
from recinfer.export.comparison import speeds
from recinfer.export.compile_options import DEFAULT_OPTIONS, CompileOptions
from recinfer.export.feature_file import feature_file
from recinfer.export.fold import FoldReport, fold_tables
from recinfer.export.kinds import AUTO, AUTO_KINDS, KINDS
from recinfer.export.mixed_precision import with_mixed_precision
from recinfer.export.parity import compare
from recinfer.export.precision import check_precision
from recinfer.export.quant_dense import quantize_dense
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.report import ExportReport
from recinfer.export.script import trace, write_scripted
from recinfer.export.task_auc import task_aucs
from recinfer.export.tile import EMBEDDINGS, TILED_KINDS, Tiling
from recinfer.export.tile_lookups import with_lookups_once
from recinfer.features.base import Feature
from recinfer.models import Model
from recinfer.nn.tiling import with_batch_size
from recinfer.predict.device import CPU
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import OPENERS, WEIGHTS
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
        compile_options: what compiled kinds are made for.
        mixed_precision: of the products of dense layers: ``BF16``, ``FP16``, or "" for single precision.
        carry: what else the folder shall score with where a compiled part does not run: ``jit``, ``eager``.
        tiling: how user-side features are repeated that come once per user; None where they come with each row.
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
    compile_options: CompileOptions = DEFAULT_OPTIONS
    mixed_precision: str = ""
    carry: frozenset[str] = frozenset()
    tiling: Tiling | None = None

    @property
    def device(self) -> torch.device:
        """That the export is for."""
        return self.compile_options.device


def build_export(job: ExportJob, work: Path) -> ExportReport:
    """Fills a folder.

    Raises:
        ModelError: the model does not fit the kind.
    """
    _check(job)
    eager = ModelScorer(job.model, job.features, job.fingerprint, job.config.data_config)
    rows, source = job.parity_rows()
    once = job.tiling is not None and job.tiling.at == EMBEDDINGS
    model = with_lookups_once(job.model, job.tiling.users) if job.tiling and once else job.model
    # Where all is compiled, tables lie on the device too; elsewhere lookups stay on the processor.
    whole = job.kind != AUTO and KINDS[job.kind].whole
    make_tables = with_inference_tables if job.kind == AUTO else KINDS[job.kind].tables
    held = job.device if whole else CPU
    tables = make_tables(_on(model, held), TABLE_TYPES[job.quant_emb], TABLE_TYPES[job.quant_ec_emb])
    graph = trace(tables, job.features, job.tiling, held)
    data = with_batch_size(eager.parser(rows), rows.num_rows)
    folded = FoldReport() if whole else fold_tables(graph, job.model, data, job.fold_bytes)
    quantized = quantize_dense(graph) if job.quant_dense == "int8" else []
    if job.mixed_precision:
        with_mixed_precision(graph, job.mixed_precision)
    sample = _one_batch(rows.slice(0, SPEED_ROWS))
    save_pipeline_config(gather_assets(job.config, work), work / artifact.CONFIG)
    # Scorers read here how the model takes its rows; what it is compiled with is known only later.
    artifact.write_json(work / artifact.SWITCHES, _switches(job))
    kind, choice, exported = _write_model(job, graph, sample, work)
    _write_carried(job, graph, work)
    artifact.write_json(work / artifact.FEATURES, feature_file(job.features))
    artifact.write_json(work / artifact.SWITCHES, {**_switches(job), **KINDS[kind].switches})
    measured = dict(zip(("eager", "export"), speeds([eager, exported], sample, SPEED_ROUNDS), strict=True))
    scores = eager.score(rows), exported.score(rows)
    report = ExportReport(
        kind,
        {
            "quant_emb": job.quant_emb,
            "quant_ec_emb": job.quant_ec_emb,
            "quant_dense": job.quant_dense,
            "mixed_precision": job.mixed_precision or "none",
        },
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
        report={
            **report.to_json(),
            "input_tile": job.tiling.to_json() if job.tiling else None,
            **({"tables": [asdict(each) for each in tables_of(tables)]} if whole else {}),
        },
        compiled=KINDS[kind].compiled,
        device=job.device,
    )
    artifact.write_json(work / artifact.MANIFEST, manifest)
    return report


def _check(job: ExportJob) -> None:
    """Refuses at once what the kind cannot be."""
    if job.kind == AUTO:
        check_precision(job.mixed_precision, "cpu")
        return
    kind = KINDS[job.kind]
    check_precision(job.mixed_precision, job.device.type)
    if job.quant_dense == "int8" and job.device.type != "cpu":
        raise UsageError("linear layers in INT8 run on processors alone", "leave --quant-dense out")
    if job.tiling is not None and job.kind not in TILED_KINDS:
        raise UsageError(
            f"an export of kind {job.kind} takes user-side features with each row",
            f"leave INPUT_TILE out, or use one of the kinds {', '.join(TILED_KINDS)}",
        )
    if job.device.type != "cpu" and "jit" in job.carry and job.mixed_precision == "FP16":
        raise UsageError("a scripted model in FP16 does not run on processors", "leave --carry jit out, or use BF16")
    if kind.whole and "jit" in job.carry:
        raise UsageError(
            f"an export of kind {job.kind} has no scripted part to carry",
            "use --accelerate aot, or --carry eager",
        )
    kind.check()


def _write_model(
    job: ExportJob, graph: fx.GraphModule, sample: pa.RecordBatch, work: Path
) -> tuple[str, Choice | None, Scorer]:
    """The kind, why it was chosen, and a scorer of it."""
    if job.kind != AUTO:
        KINDS[job.kind].writer(job.compile_options)(graph, job.features, work)
        return job.kind, None, _open(job, job.kind, work)
    candidates = {
        name: (
            partial(KINDS[name].writer(job.compile_options), graph, job.features),
            lambda folder, name=name: _open(job, name, folder),
        )
        for name in AUTO_KINDS
    }
    choice, scorer = write_fastest(candidates, sample, work)
    return choice.kind, choice, scorer


def _open(job: ExportJob, kind: str, folder: Path) -> Scorer:
    return OPENERS[kind](folder, job.fingerprint, job.device)


def _on(model: nn.Module, device: torch.device) -> nn.Module:
    """The model itself, which the export's scores are held against, stays on the processor."""
    return model if device.type == "cpu" else copy.deepcopy(model).to(device)


def _write_carried(job: ExportJob, graph: fx.GraphModule, work: Path) -> None:
    """What ``--fallback`` scores with."""
    if "jit" in job.carry and not (work / artifact.SCRIPTED).is_file():
        write_scripted(graph, job.features, work)
    if "eager" in job.carry:
        save_file({name: tensor.contiguous() for name, tensor in job.model.state_dict().items()}, work / WEIGHTS)
        # Written for its owner alone, where all other files are as the umask has them.
        (work / WEIGHTS).chmod((work / artifact.CONFIG).stat().st_mode)


def _one_batch(rows: pa.Table) -> pa.RecordBatch:
    return rows.combine_chunks().to_batches()[0]


def _switches(job: ExportJob) -> Mapping[str, str]:
    """``model_acc.json``: how the export was made, as strings; table types that are full precision go unsaid."""
    switches = {"SPARSE_INT64": "1", **(job.tiling.switches if job.tiling else {})}
    if job.quant_emb != "FP32":
        switches["QUANT_EMB"] = job.quant_emb
    if job.quant_ec_emb != "FP32":
        switches["QUANT_EC_EMB"] = job.quant_ec_emb
    return switches
