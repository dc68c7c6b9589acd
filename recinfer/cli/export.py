"""``recinfer export``."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recinfer.cli.options import AT_LEAST_ONE, TABLE_TYPES, Choice, as_json, config_edits, pipeline_config
from recinfer.cli.output import count, print_json, size, table
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.export.report import ExportReport

ACCELERATIONS = ("none", "aot", "aot-unified", "trt", "auto")


@click.command(cls=Command, when_stopped="nothing is left behind", stop_signals=(signal.SIGINT, signal.SIGTERM))
@pipeline_config
@click.option("--export_dir", required=True, metavar="FOLDER", help="Where the export goes: a new or an empty folder.")
@click.option(
    "--checkpoint_path",
    metavar="PATH",
    help="latest, best, a checkpoint, or a model folder. Default: export_config.exporter_type, else latest.",
)
@click.option(
    "--quant-emb",
    type=TABLE_TYPES,
    metavar=f"[{'|'.join(TABLE_TYPES.choices)}]",
    help="Type of pooled embedding tables. Default: QUANT_EMB, else FP32.",
)
@click.option(
    "--quant-ec-emb",
    type=TABLE_TYPES,
    metavar=f"[{'|'.join(TABLE_TYPES.choices)}]",
    help="Type of sequence embedding tables. Default: QUANT_EC_EMB, else FP32.",
)
@click.option(
    "--parity-input-path",
    metavar="PATH",
    help="Rows to compare the export's scores with the model's on. Default: the config's eval_input_path.",
)
@click.option(
    "--parity-rows", type=AT_LEAST_ONE, metavar="N", default=4096, show_default=True, help="How many of them."
)
@click.option(
    "--parity-bound",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Largest difference of a probability that is accepted. Default: by table type, 1e-4 for FP32.",
)
@click.option(
    "--fold-mib",
    type=click.IntRange(min=0),
    metavar="N",
    help="Memory for small tables multiplied into the layers that read them, in MiB; 0 for none. Default: 32.",
)
@click.option(
    "--quant-dense",
    type=Choice(["none", "int8"], case_sensitive=False),
    help="Linear layers in INT8. Default: QUANT_DENSE, else none.",
)
@click.option(
    "--accelerate",
    type=Choice(ACCELERATIONS),
    # Names are written with "_" or "-", and help would show the former.
    metavar=f"[{'|'.join(ACCELERATIONS)}]",
    help="Compile the dense part (aot) or the whole model (aot-unified) ahead of time, for processors like this one, "
    "or with --device cuda for GPUs like this one; or the dense part with TensorRT (trt). auto measures what is "
    "fastest on the processor. Default: ENABLE_TRT or ENABLE_AOT, else none.",
)
@click.option("--aot", is_flag=True, help="The same as --accelerate aot.")
@click.option("--trt", is_flag=True, help="The same as --accelerate trt.")
@click.option(
    "--device",
    metavar="[cpu|cuda|cuda:N]",
    help="What a compiled export is made for. Default: cpu, and with --trt cuda.",
)
@click.option(
    "--mixed-precision",
    type=Choice(["none", "bf16", "fp16"], case_sensitive=False),
    help="Type of products in dense layers; fp16 on a GPU only. Default: MIXED_PRECISION, else "
    "export_config.mixed_precision.",
)
@click.option(
    "--max-batch-size",
    type=click.IntRange(min=8),
    metavar="N",
    help="Largest batch of a compiled export; larger ones are cut. Default: MAX_EXPORT_BATCH_SIZE or "
    "TRT_MAX_BATCH_SIZE, else 2048 with --trt and any otherwise.",
)
@click.option(
    "--trt-max-seq-len",
    type=AT_LEAST_ONE,
    metavar="N",
    help="Longest sequence that TensorRT takes. Default: TRT_MAX_SEQ_LEN, else the longest sequence_length.",
)
@click.option(
    "--trt-workspace-mib",
    type=click.IntRange(min=0),
    metavar="N",
    help="GPU memory that TensorRT may try layers with, 0 for all. Default: TRT_WORKSPACE_MIB, else 0.",
)
@click.option(
    "--debug-trt", is_flag=True, help="Log what TensorRT does, and time it into trt_timing.json. Also DEBUG_TRT."
)
@click.option(
    "--cudnn-allow-tf32/--no-cudnn-allow-tf32",
    default=None,
    help="Whether convolutions on a GPU may round to TF32. Default: CUDNN_ALLOW_TF32, else the field of export_config.",
)
@click.option(
    "--cuda-matmul-allow-tf32/--no-cuda-matmul-allow-tf32",
    default=None,
    help="Whether products on a GPU may round to TF32. Default: CUDA_MATMUL_ALLOW_TF32, else the field of "
    "export_config.",
)
@click.option(
    "--carry",
    multiple=True,
    type=Choice(["jit", "eager"]),
    help="What a compiled export carries besides, for --fallback on other machines. May be repeated.",
)
@click.option(
    "--input-tile",
    type=Choice(["0", "2", "3"]),
    help="Take user-side features once per user, and repeat their ids (2) or their embeddings (3) for each row. "
    "Default: INPUT_TILE, else 0.",
)
@click.option(
    "--input-tile-3-online",
    is_flag=True,
    help="Accepted with --input-tile 3, which always works so here. Also INPUT_TILE_3_ONLINE.",
)
@click.option("--overwrite", is_flag=True, help="Replace what is in --export_dir, once the new export is complete.")
@config_edits
@as_json("the report")
def export(
    pipeline_config: str,
    export_dir: str,
    as_json: bool,
    input_tile: str | None,
    accelerate: str | None,
    aot: bool,
    trt: bool,
    **settings: Any,
) -> None:
    """Export a checkpoint as a folder that scores without this package's model code.

    The export scores real rows, and is refused where it strays from the model. Also: recinfer-export,
    python -m recinfer.export.
    """
    chosen = _acceleration(accelerate, aot, trt)
    from recinfer.main import export as write_export

    tile = None if input_tile is None else int(input_tile)
    report = write_export(pipeline_config, export_dir, input_tile=tile, accelerate=chosen, **settings)
    if as_json:
        print_json({"export_dir": export_dir, **report.to_json()})
    else:
        _print_report(report, Path(export_dir))


def _acceleration(accelerate: str | None, aot: bool, trt: bool) -> str | None:
    """What the three flags say together."""
    said = {"--accelerate": accelerate, "--aot": "aot" if aot else None, "--trt": "trt" if trt else None}
    given = {flag: value for flag, value in said.items() if value is not None}
    if len(set(given.values())) > 1:
        words = [f"{flag} {value}" if flag == "--accelerate" else flag for flag, value in given.items()]
        raise click.UsageError(f"{' and '.join(words)} do not go together; give one of them")
    return next(iter(given.values()), None)


def _print_report(report: ExportReport, folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = [path.stat().st_size for path in files]
    click.echo(f"done: {folder}, {count(len(files), 'file')}, {size(sum(sizes))}")
    names = [path.relative_to(folder).as_posix() for path in files]
    click.echo(table(["file", "size"], [(name, size(each)) for name, each in zip(names, sizes, strict=True)]))
    if report.choice:
        rates = ", ".join(f"{kind} {speed.median:,.0f}" for kind, speed in report.choice.speeds.items())
        click.echo(f"chosen: {report.kind} (rows/s on one thread: {rates})")
        for kind, why in report.choice.failed.items():
            click.echo(f"  not {kind}: {why}")
    if report.folded.features:
        features, layers = count(len(report.folded.features), "small table"), count(len(report.folded.layers), "layer")
        click.echo(f"folded: {features} into {layers}, {size(report.folded.bytes)}")
    if report.quantized_layers:
        click.echo(f"INT8: {count(len(report.quantized_layers), 'linear layer')}")
    elif report.types["quant_dense"] == "int8":
        click.echo("INT8: no linear layer is large enough to gain by it, so none was changed")
    parity = report.parity
    click.echo(f"parity: scores of {count(parity.rows, 'row')} of {parity.source}, model against export")
    for name, pair in report.auc.items():
        click.echo(f"  AUC of {name}: model {pair.first:.4f}, export {pair.second:.4f} ({pair.change:+.4f})")
    rows = [(name, difference.largest, difference.mean) for name, difference in parity.differences.items()]
    click.echo(table(["prediction", "largest difference", "mean"], rows))
    name, largest = parity.worst
    if name:
        click.echo(f"  accepted: {name} differs by {largest:.3g} at most, the bound is {parity.limit(name):.3g}")
    model, export = (report.speeds[side].median for side in ("eager", "export"))
    click.echo(f"speed: {export:,.0f} rows/s on one thread, {export / model:.2f} times the model's {model:,.0f}")


def main() -> None:
    """The console script."""
    export()
