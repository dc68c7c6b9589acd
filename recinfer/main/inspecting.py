"""Says what is inside an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recinfer.errors import ConfigError, ModelError, RecinferError
from recinfer.main.config import PathLike
from recinfer.main.remote import local_model

if TYPE_CHECKING:
    from recinfer.export.contents import Contents, ScriptedContents
    from recinfer.export.table_names import Declared
    from recinfer.features.base import Feature

CONFIG = "pipeline.config"
SWITCHES = "model_acc.json"
SCRIPTED, SPARSE = "scripted_model.pt", "scripted_sparse_model.pt"
# What recinfer.json says of how an export was made, and of its scores and speed then.
REPORTED = (
    "created_by", "created_at", "device", "versions", "folded", "parity", "types", "auc", "speeds", "choice",
    "quantized_layers",
)  # fmt: skip
# What recinfer.json says of the machine that an export needs.
NEEDS = ("machine", "cpu_features", "gpu")


def inspect(export_dir: PathLike) -> Contents:
    """What is inside an export, ours or the reference's.

    Files are held against their SHA-256 before any is opened; the model is loaded, and not run. Tables, operators and
    the keys of inputs and outputs come from the scripted file; types of inputs, and some names, need the config.

    Raises:
        ModelError: the folder is no export, or is damaged.
    """
    from recinfer.data.json_object import read_json_object
    from recinfer.export.contents import Contents, input_tensors
    from recinfer.export.scripted_tables import HeldTable
    from recinfer.predict import signature
    from recinfer.predict.compatibility import check, for_gpu
    from recinfer.predict.machine import this_machine
    from recinfer.predict.manifest import HINT, read_manifest
    from recinfer.predict.manifest_check import check_files
    from recinfer.predict.open_export import carried_fallbacks, check_complete, is_export, kind_of

    folder = local_model(export_dir)
    if not is_export(folder):
        raise ModelError(f"{folder} is no export", "give the folder that recinfer-export wrote")
    checked = check_files(folder)
    manifest = read_manifest(folder)
    kind = kind_of(manifest, folder)
    if manifest:
        check_complete(kind, folder)
    notes = [] if manifest else ["there is no recinfer.json, so no file could be held against its SHA-256"]
    features, declared = _from_config(folder, notes)
    found = _scripted(folder, kind, declared, notes)
    return Contents(
        folder=str(export_dir),
        kind=kind,
        **_said(manifest, REPORTED),
        needs=_said(manifest, NEEDS),
        files={path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder)},
        checked=len(checked),
        signed=(folder / signature.SIGNATURE).is_file(),
        fallbacks=carried_fallbacks(folder, kind),
        differences=[str(each) for each in check(manifest, this_machine(gpu=for_gpu(manifest)))],
        switches=read_json_object(folder / SWITCHES, HINT),
        columns=manifest.get("inputs") or {feature.name: str(feature.arrow_type) for feature in features},
        inputs=input_tensors(found.input_keys, features),
        outputs=manifest.get("outputs") or dict.fromkeys(found.output_keys, ""),
        tables=[HeldTable(**each) for each in manifest.get("tables", [])] or found.tables,
        operators=dict((Counter(found.operators) + Counter(_compiled_operators(folder))).most_common()),
        parameters=found.parameters,
        parameter_bytes=found.parameter_bytes,
        notes=notes,
    )


def _said(manifest: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """What the manifest says as it is."""
    return {name: manifest[name] for name in names if manifest.get(name)}


def _from_config(folder: Path, notes: list[str]) -> tuple[list[Feature], list[tuple[str, list[Declared]]]]:
    """Features and tables of the export's config: none where it is not one that runs here, which is noted."""
    import torch

    from recinfer.config.load import load_pipeline_config
    from recinfer.export.table_names import declared_lookups
    from recinfer.features import build_features
    from recinfer.features.assets import with_assets_in
    from recinfer.features.used import used_features
    from recinfer.models import build_model

    features: list[Feature] = []
    try:
        if not (folder / CONFIG).is_file():
            raise ConfigError(f"{CONFIG} is missing")
        config = with_assets_in(load_pipeline_config(folder / CONFIG), folder)
        features = build_features(config)
        features = used_features(config, features)
        # On the meta device a model has shapes and takes no memory.
        with torch.device("meta"):
            return features, declared_lookups(build_model(config, features))
    except RecinferError as error:
        notes.append(f"types of inputs and names of tables may be missing: {error.message}")
        return features, []


def _scripted(
    folder: Path, kind: str, declared: list[tuple[str, list[Declared]]], notes: list[str]
) -> ScriptedContents:
    """What the scripted file tells: of a compiled export, the sparse part's, which has the tables."""
    from recinfer.export.contents import ScriptedContents, scripted_contents
    from recinfer.predict.export_scorer import load_scripted

    # A scripted model beside machine code is what `--fallback jit` scores with, and not the export.
    name = SCRIPTED if kind == "torchscript" else SPARSE
    if not (folder / name).is_file():
        notes.append("there is no scripted file: layers of machine code cannot be listed")
        return ScriptedContents([], {}, 0, 0, [], [])
    if name == SPARSE:
        notes.append(f"tables and layers are those of {name}; the dense part is machine code")
    return scripted_contents(load_scripted(folder / name), declared)


def _compiled_operators(folder: Path) -> Mapping[str, int]:
    """Operators that machine code was made of; the reference's exports do not say."""
    from recinfer.predict.compiled_inputs import INTERFACE, read_interface

    return read_interface(folder / INTERFACE).operators if (folder / INTERFACE).is_file() else {}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
