"""How a GPU multiplies where an export leaves products to torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch

from recinfer.export.compile_options import CompileOptions
from recinfer.predict.device import GPU_SETTINGS, GpuSettings, allow_tf32


def write_gpu_settings(folder: Path, options: CompileOptions) -> None:
    """Writes ``gpu.json`` for an export for a GPU, and multiplies so from now on: a compiler asks torch."""
    if options.device.type != "cuda":
        return
    settings = GpuSettings(options.cudnn_tf32, options.matmul_tf32)
    (folder / GPU_SETTINGS).write_text(json.dumps(asdict(settings), indent=2) + "\n", encoding="utf-8")
    if torch.cuda.is_available():
        allow_tf32(folder)
