"""torch-tensorrt, where it is installed and there is a GPU; it is imported here alone."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import torch

from recinfer.errors import ModelError

PACKAGE = "torch_tensorrt"


def check_tensorrt() -> None:
    """Says at once what is missing; imports nothing.

    Raises:
        ModelError: there is no GPU, or no torch-tensorrt.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise ModelError("torch-tensorrt is not installed", "pip install 'recinfer[gpu]', on a machine with a GPU")
    if not torch.cuda.is_available():
        raise ModelError("TensorRT needs an NVIDIA GPU, and torch finds none", "use such a machine, or --aot")


def load_tensorrt() -> Any:
    """The module ``torch_tensorrt``, which registers what runs its engines.

    Raises:
        ModelError: it is missing, or its libraries do not load.
    """
    check_tensorrt()
    try:
        return importlib.import_module(PACKAGE)
    except Exception as error:
        # It raises a bare Exception where the libraries of TensorRT are missing.
        raise ModelError(
            f"torch-tensorrt does not load: {str(error).splitlines()[0] if str(error) else repr(error)}",
            "install the TensorRT libraries that this version of torch-tensorrt wants",
        ) from error


def load_engines(path: Path) -> torch.export.ExportedProgram:
    """An exported program that holds engines.

    Raises:
        ModelError: torch-tensorrt is missing or does not load.
    """
    program: torch.export.ExportedProgram = load_tensorrt().load(str(path))
    return program
