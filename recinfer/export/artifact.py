"""The export folder: its files, and ``recinfer.json``, which says what they are."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from recinfer.predict.device import CPU
from recinfer.predict.machine import gpu_architecture, this_machine
from recinfer.predict.manifest import FORMAT, MANIFEST

# The programs of all kinds, one of which every export has.
SCRIPTED = "scripted_model.pt"
MODELS = (SCRIPTED, "aoti_model.pt2", "trt_model.pt2")
CONFIG = "pipeline.config"
FEATURES = "fg.json"
SWITCHES = "model_acc.json"

PACKAGES = ("recinfer", "torch", "torchrec", "fbgemm-gpu-cpu", "fbgemm-gpu", "pyarrow", "torch-tensorrt", "tensorrt")


def manifest(
    folder: Path,
    *,
    inputs: pa.Schema,
    outputs: pa.Schema,
    model: str,
    report: Mapping[str, Any],
    compiled: bool,
    device: torch.device = CPU,
) -> dict[str, Any]:
    """The content of ``recinfer.json`` for a folder whose other files are all written.

    Args:
        inputs, outputs: schemas of what the model reads and predicts.
        model: fingerprint of the parameters that were exported.
        compiled: whether machine code is in it, which runs on processors with this one's instruction sets.
        device: that it scores on; made for a GPU, it runs on GPUs like this one alone.
        report: how the export was made, and how its scores compare.
    """
    return {
        "format": FORMAT,
        "created_by": f"recinfer {package_version('recinfer')}",
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_fingerprint": model,
        "versions": {name: package_version(name) for name in PACKAGES if package_version(name)},
        "device": device.type,
        **({"gpu": gpu_architecture(device)} if device.type == "cuda" else {}),
        "machine": platform.machine(),
        "cpu_features": sorted(this_machine().cpu_features or ()) if compiled else [],
        "inputs": {field.name: str(field.type) for field in inputs},
        "outputs": {field.name: str(field.type) for field in outputs},
        **report,
        "sha256": file_hashes(folder),
    }


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but the manifest, by relative path."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def sha256(path: Path) -> str:
    """SHA-256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_version(name: str) -> str:
    """The installed version of a package, "" where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
