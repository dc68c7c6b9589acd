"""``recinfer inspect``: what is inside an export."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from recinfer.cli.options import as_json
from recinfer.cli.output import count, print_json, print_pairs, size, table
from recinfer.cli.run import Command

if TYPE_CHECKING:
    from recinfer.export.contents import Contents

# Operators are many, and the frequent ones say least: the text names those of fbgemm, and so many of the others.
SHOWN_OPERATORS = 12


@click.command(cls=Command)
@click.argument("export", metavar="EXPORT")
@as_json("everything")
def inspect(export: str, as_json: bool) -> None:
    """Show what is inside an export.

    EXPORT is an export folder, of recinfer or of TorchEasyRec. Shows what it takes, predicts and holds: tensors,
    tables, operators, versions, and how its scores compared with the model's. Files are held against their SHA-256
    first; nothing in the folder is run.
    """
    from recinfer.main import inspect as read_contents

    contents = read_contents(export)
    if as_json:
        print_json(contents.to_json())
    else:
        print_contents(contents)


def print_contents(contents: Contents) -> None:
    """Prints what is inside an export for people."""
    made = f"made by {contents.created_by}, {contents.created_at}" if contents.created_by else "of TorchEasyRec"
    click.echo(f"{contents.folder}: {contents.kind} export for {contents.device}, {made}")
    print_pairs(_facts(contents))
    for note in [*contents.differences, *contents.notes]:
        click.echo(f"  note: {note}")
    _print_table("tensors in", ["key", "type", "shape"], [(x.name, x.dtype, _shape(x.shape)) for x in contents.inputs])
    _print_table("predictions", ["name", "type"], list(contents.outputs.items()))
    _print_table(
        "tables",
        ["table", "rows", "dim", "type", "bytes", "pooling", "lookups"],
        [
            (_name(x.name), x.rows, x.dim, x.dtype, x.bytes, x.pooling if x.kind == "embedding" else x.kind, x.features)
            for x in contents.tables
        ],
    )
    _print_operators(contents.operators)
    _print_report(contents)


def _print_report(contents: Contents) -> None:
    """What the export's own report says: how its scores compare with the model's."""
    if not contents.parity:
        return
    rows = [(name, each["largest"], each["mean"]) for name, each in contents.parity["differences"].items()]
    click.echo(f"parity, {count(contents.parity['rows'], 'row')} of {contents.parity['source']}:")
    click.echo(table(["prediction", "largest difference", "mean"], rows))
    _print_table(
        "AUC on these rows",
        ["prediction", "label", "model", "export", "change"],
        [(name, each["label"], each["first"], each["second"], each["change"]) for name, each in contents.auc.items()],
    )


def _facts(contents: Contents) -> list[tuple[str, str]]:
    everything = sum(contents.files.values())
    checked = f", {contents.checked} of them as recinfer.json lists them" if contents.checked else ""
    facts = [
        ("files", f"{count(len(contents.files), 'file')}, {size(everything)}{checked}"),
        ("signature", "recinfer.sig, not verified here" if contents.signed else "none"),
        ("columns", count(len(contents.columns), "column")),
        ("tables", f"{len(contents.tables)}, {size(sum(each.bytes for each in contents.tables))}"),
        ("switches", ", ".join(f"{name}={value}" for name, value in contents.switches.items()) or "none"),
    ]
    if contents.parameters:
        said = f"{count(contents.parameters, 'number')}, {size(contents.parameter_bytes)}"
        facts.append(("layers", said))
    if contents.versions:
        facts.append(("versions", ", ".join(f"{name} {value}" for name, value in contents.versions.items())))
    if contents.needs:
        needs = contents.needs
        parts = [needs.get("machine", ""), needs.get("gpu", ""), " ".join(needs.get("cpu_features", []))]
        facts.append(("needs", ", ".join(part for part in parts if part)))
    if contents.folded.get("features"):
        features, layers = len(contents.folded["features"]), len(contents.folded["layers"])
        facts.append(("folded", f"{count(features, 'small table')} into {count(layers, 'layer')}"))
    if contents.types:
        facts.append(("types", ", ".join(f"{name}={value}" for name, value in contents.types.items())))
    if contents.quantized_layers:
        facts.append(("in INT8", count(len(contents.quantized_layers), "layer")))
    if contents.speeds:
        export, model = (contents.speeds[side]["median"] for side in ("export", "eager"))
        facts.append(("speed", f"{export:,.0f} rows/s on one thread when made, {export / model:.2f} times the model's"))
    if contents.choice:
        rates = [f"{kind} {each['median']:,.0f} rows/s" for kind, each in contents.choice["speeds"].items()]
        failed = [f"not {kind}: {why}" for kind, why in contents.choice["failed"].items()]
        facts.append(("chosen", ", ".join([*rates, *failed])))
    if contents.fallbacks:
        facts.append(("fallbacks", ", ".join(contents.fallbacks)))
    return facts


def _print_table(title: str, names: list[str], rows: list[tuple[str | int | float, ...]]) -> None:
    if rows:
        click.echo(f"{title}:")
        click.echo(table(names, rows))


def _print_operators(operators: dict[str, int]) -> None:
    if not operators:
        return
    ours = [name for name in operators if not name.startswith("aten::")]
    others = [name for name in operators if name.startswith("aten::")]
    shown = [*ours, *others[:SHOWN_OPERATORS]]
    hidden = f"; {len(others) - SHOWN_OPERATORS} more with --json" if len(others) > SHOWN_OPERATORS else ""
    click.echo(f"operators: {count(len(operators), 'kind')}{hidden}")
    print_pairs([(name, f"{operators[name]:,}") for name in shown])


def _shape(sizes: list[int | str]) -> str:
    return "[" + ", ".join(map(str, sizes)) + "]"


def _name(name: str) -> str:
    return name or "(name not in the file)"


def main() -> None:
    """Runs the command."""
    inspect()
