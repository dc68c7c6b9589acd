"""Puts everything that an export holds into a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import pyarrow as pa
from safetensors.torch import save_file

from recinfer import interrupts
from recinfer.config.save import save_pipeline_config
from recinfer.data.parser import Tensors
from recinfer.errors import BadRowError, UsageError
from recinfer.export import artifact
from recinfer.export.assets import gather_assets
from recinfer.export.auto import Choice, write_fastest
from recinfer.export.comparison import speeds
from recinfer.export.feature_file import feature_file
from recinfer.export.job import ExportJob
from recinfer.export.kinds import AUTO, AUTO_KINDS, KINDS
from recinfer.export.parity import compare
from recinfer.export.precision import check_precision
from recinfer.export.prepare import Prepared, bound_of, prepare
from recinfer.export.report import ExportReport
from recinfer.export.room import check_room
from recinfer.export.script import write_scripted
from recinfer.export.task_auc import task_aucs
from recinfer.export.tile import TILED_KINDS
from recinfer.nn.tiling import with_batch_size
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import OPENERS, WEIGHTS
from recinfer.predict.scorer import Scorer

# Rows that speeds are measured on.
SPEED_ROWS = 2048
SPEED_ROUNDS = 3

Prepare = Callable[[bool], Prepared]
"""Gives the graph for kinds that compile the whole model, or for the others; each is made once."""


def build_export(job: ExportJob, work: Path) -> ExportReport:
    """Fills a folder.

    Raises:
        ModelError: the model does not fit the kind.
        ParityError: the scripted model that the export carries strays from the model.
    """
    _check(job)
    interrupts.check()
    eager = ModelScorer(job.model, job.features, job.fingerprint, job.config.data_config)
    rows, source = job.parity_rows()
    data = with_batch_size(_parsed(eager, rows, source), rows.num_rows)
    interrupts.check()
    prepared: Prepare = cache(partial(prepare, job, data))
    sample = _one_batch(rows.slice(0, SPEED_ROWS))
    save_pipeline_config(gather_assets(job.config, work), work / artifact.CONFIG)
    # Scorers read here how the model takes its rows; what it is compiled with is known only later.
    artifact.write_json(work / artifact.SWITCHES, _switches(job))
    kind, choice, exported = _write_model(job, prepared, sample, work)
    made = prepared(KINDS[kind].whole)
    scored, bound = eager.score(rows), bound_of(job, made)
    if "jit" in job.carry and kind != "torchscript":
        check_room(work, prepared(False).graph)
        write_scripted(prepared(False).graph, job.features, work)
        scripted = ExportScorer(work, job.fingerprint).score(rows)
        compare(scored, scripted, f"{source}, scored by the scripted model that it carries", bound).check()
    if "eager" in job.carry:
        _write_weights(job, work)
    artifact.write_json(work / artifact.FEATURES, feature_file(job.features))
    artifact.write_json(work / artifact.SWITCHES, {**_switches(job), **KINDS[kind].switches})
    measured = dict(zip(("eager", "export"), speeds([eager, exported], sample, SPEED_ROUNDS), strict=True))
    scores = scored, exported.score(rows)
    report = ExportReport(
        kind,
        {
            "quant_emb": job.quant_emb,
            "quant_ec_emb": job.quant_ec_emb,
            "quant_dense": job.quant_dense,
            "mixed_precision": job.mixed_precision or "none",
        },
        compare(*scores, source, bound),
        task_aucs(job.model.tasks, rows, *scores),
        measured,
        sum(path.stat().st_size for path in work.rglob("*") if path.is_file()),
        made.folded,
        made.quantized,
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
            **({"tables": [asdict(each) for each in made.tables]} if made.tables else {}),
        },
        compiled=KINDS[kind].compiled,
        device=job.device,
    )
    artifact.write_json(work / artifact.MANIFEST, manifest)
    return report


def _parsed(model: Scorer, rows: pa.Table, source: str) -> Tensors:
    try:
        return model.parser(rows)
    except BadRowError as error:
        where = "" if error.row is None else f", in row {error.row} of {source}"
        raise BadRowError(
            f"{error.message}{where}", error.hint or "correct the row, or give other rows", error.row
        ) from error


def _check(job: ExportJob) -> None:
    """Refuses at once what the kind cannot be."""
    if job.kind == AUTO:
        check_precision(job.mixed_precision, "cpu")
        return
    check_precision(job.mixed_precision, job.device.type)
    if job.quant_dense == "int8" and job.device.type != "cpu":
        raise UsageError("linear layers in INT8 run on processors alone", "leave --quant-dense out")
    if job.tiling is not None and job.kind not in TILED_KINDS:
        raise UsageError(
            f"an export of kind {job.kind} takes user-side features with each row",
            f"leave --input-tile (INPUT_TILE) out, or use one of the kinds {', '.join(TILED_KINDS)}",
        )
    if job.device.type != "cpu" and "jit" in job.carry and job.mixed_precision == "FP16":
        raise UsageError("a scripted model in FP16 does not run on processors", "leave --carry jit out, or use BF16")
    KINDS[job.kind].check()


def _write_model(
    job: ExportJob, prepared: Prepare, sample: pa.RecordBatch, work: Path
) -> tuple[str, Choice | None, Scorer]:
    """The kind, why it was chosen, and a scorer of it."""
    if job.kind != AUTO:
        _write(job, job.kind, prepared, work)
        return job.kind, None, _open(job, job.kind, work)
    kinds = [kind for kind in AUTO_KINDS if job.tiling is None or kind in TILED_KINDS]
    candidates = {kind: (partial(_write, job, kind, prepared), partial(_open, job, kind)) for kind in kinds}
    choice, scorer = write_fastest(candidates, sample, work)
    return choice.kind, choice, scorer


def _write(job: ExportJob, kind: str, prepared: Prepare, folder: Path) -> None:
    interrupts.check()
    made = prepared(KINDS[kind].whole)
    check_room(folder, made.graph)
    KINDS[kind].writer(job.compile_options)(made.graph, job.features, folder)


def _open(job: ExportJob, kind: str, folder: Path) -> Scorer:
    return OPENERS[kind](folder, job.fingerprint, job.device)


def _write_weights(job: ExportJob, work: Path) -> None:
    """What ``--fallback eager`` scores with."""
    check_room(work, job.model)
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
