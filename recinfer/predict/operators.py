"""Registers the fbgemm operators that scripted models call."""

from __future__ import annotations

import importlib.util
import threading
from pathlib import Path

import torch

from recinfer.errors import ModelError

# Loading the libraries takes a hundredth of the time that `import fbgemm_gpu` takes, and registers the same operators.
LIBRARIES = ("fbgemm_gpu_tbe_inference.so", "fbgemm_gpu_tbe_common.so", "fbgemm_gpu_py.so")

_lock = threading.Lock()
_loaded = False


def load_operators() -> None:
    """Registers the operators once per process.

    Raises:
        ModelError: fbgemm is not installed, or its libraries do not load.
    """
    global _loaded
    with _lock:
        if _loaded:
            return
        _load()
        _loaded = True


def _load() -> None:
    spec = importlib.util.find_spec("fbgemm_gpu")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("fbgemm is not installed", "install fbgemm-gpu-cpu (or fbgemm-gpu on a GPU machine)")
    folder = Path(next(iter(spec.submodule_search_locations)))
    if hasattr(torch.ops.fbgemm, "int_nbit_split_embedding_codegen_lookup_function"):
        return
    if all((folder / name).is_file() for name in LIBRARIES):
        for name in LIBRARIES:
            torch.ops.load_library(str(folder / name))
    else:
        importlib.import_module("fbgemm_gpu")
