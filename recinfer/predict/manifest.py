"""``recinfer.json``: what an export of ours says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from recinfer.data.json_object import read_json_object, shaped
from recinfer.errors import ModelError

MANIFEST = "recinfer.json"
# The newest format that this version reads.
FORMAT = 1
# Without these nobody could tell whether the export is whole and runs here.
NEEDED = ("cpu_features", "machine", "sha256", "versions")
HINT = "export the model again"


class Speed(TypedDict):
    """Rows a second on one thread, over some rounds."""

    median: float
    slowest: float
    fastest: float


class Difference(TypedDict):
    """How far one prediction of the export was from the model's."""

    largest: float
    mean: float
    size: float


class Parity(TypedDict):
    """Scores of the export held against the model's."""

    rows: int
    source: str
    bound: float
    differences: dict[str, Difference]


class Auc(TypedDict):
    """AUC of one prediction: the model's and the export's."""

    label: str
    rows: int
    first: float
    second: float
    change: float


class Choice(TypedDict):
    """Why the kind was chosen: rows a second of each, and what could not be made."""

    kind: str
    speeds: dict[str, Speed]
    failed: dict[str, str]


class Folded(TypedDict):
    """Small tables that were multiplied into layers."""

    layers: list[str]
    features: list[str]
    bytes: int


class Table(TypedDict):
    """An embedding table of an export whose files do not tell."""

    name: str
    rows: int
    dim: int
    dtype: str
    bytes: int
    pooling: str
    features: int
    kind: str


class Manifest(TypedDict, total=False):
    """All of it; older exports lack some.

    Attributes:
        format: of this file.
        device: type of the device that it was made for; ``gpu`` is its compute capability.
        machine, cpu_features: what its machine code needs.
        inputs, outputs: types of columns and predictions.
        sha256: of every other file, by relative path.
    """

    format: Annotated[int, Meta(ge=1)]
    created_by: str
    created_at: str
    model_fingerprint: str
    versions: dict[str, str]
    kind: str
    device: str
    gpu: str
    machine: str
    cpu_features: list[str]
    inputs: dict[str, str]
    outputs: dict[str, str]
    types: dict[str, str]
    parity: Parity
    auc: dict[str, Auc]
    speeds: dict[str, Speed]
    bytes: int
    folded: Folded
    quantized_layers: list[str]
    choice: Choice | None
    input_tile: dict[str, Any] | None
    tables: list[Table]
    sha256: dict[str, str]


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an export; empty for a folder of the reference, which has none.

    Raises:
        ModelError: it is damaged, or of a later version.
    """
    path = folder / MANIFEST
    content = read_json_object(path, HINT)
    written = content.get("format")
    if type(written) is int and written > FORMAT:
        raise ModelError(f"{path} is of format {written}, and this version reads {FORMAT}", "install a newer recinfer")
    manifest = shaped(content, Manifest, path, HINT)
    lacking = [key for key in NEEDED if "kind" in manifest and key not in manifest]
    if lacking:
        raise ModelError(f"{path} is damaged: it lacks `{lacking[0]}`", HINT)
    return manifest
