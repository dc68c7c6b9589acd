"""Runs AOTInductor packages from several threads at once.

The loader that comes with torch holds the interpreter's lock for the whole of a run. The compiled library has a stable
C interface (``torch/csrc/inductor/aoti_runtime/interface.h``); called through :mod:`ctypes`, which lets go of the lock,
threads run side by side.
"""

from __future__ import annotations

import ctypes
import tempfile
import weakref
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch

from recinfer.errors import ModelError

# What a library of a dense part may weigh; a package beyond it is no such thing.
LARGEST_LIBRARY = 16 << 30


class CompiledPackage:
    """A compiled model of an AOTInductor package, for the CPU.

    Inputs are taken as they are: the library checks neither names nor types, so the caller must.

    Args:
        path: ``.pt2``.
        runs: how many may be in flight at once; further ones wait.

    Raises:
        ModelError: the package is damaged, or its library does not load here.
    """

    def __init__(self, path: Path, runs: int) -> None:
        self.path = path
        self._library = _load_library(path)
        handle = ctypes.c_void_p()
        create = self._library.AOTInductorModelContainerCreateWithDevice
        create.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p]
        self._must(create(ctypes.byref(handle), runs, b"cpu", None), "does not start")
        self._handle = handle
        self._finalizer = weakref.finalize(self, self._library.AOTInductorModelContainerDelete, handle)
        self.num_inputs = self._count("AOTInductorModelContainerGetNumInputs")
        self.num_outputs = self._count("AOTInductorModelContainerGetNumOutputs")

    def run(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Runs the model once; safe to call from several threads.

        Args:
            inputs: contiguous CPU tensors of the types and shapes that the package was compiled for.
        """
        given = torch._C._aoti.unsafe_alloc_void_ptrs_from_tensors(list(inputs))
        pointers = (ctypes.c_void_p * len(given))(*[_GET_POINTER(each, None) for each in given])
        results = (ctypes.c_void_p * self.num_outputs)()
        status = self._library.AOTInductorModelContainerRun(
            self._handle,
            pointers,
            ctypes.c_size_t(len(given)),
            results,
            ctypes.c_size_t(self.num_outputs),
            None,
            None,
        )
        self._must(status, "failed")
        capsules = [_NEW_CAPSULE(each, None, None) for each in results]
        return list(torch._C._aoti.alloc_tensors_by_stealing_from_void_ptrs(capsules))

    def check_counts(self, inputs: int, outputs: int) -> None:
        """Refuses a package that takes or gives another number of tensors.

        Raises:
            ModelError: it does.
        """
        if (inputs, outputs) != (self.num_inputs, self.num_outputs):
            raise ModelError(
                f"the compiled model {self.path} takes {self.num_inputs} tensors and gives {self.num_outputs}, "
                f"not {inputs} and {outputs}",
                "export the model again",
            )

    def _count(self, what: str) -> int:
        number = ctypes.c_size_t()
        self._must(getattr(self._library, what)(self._handle, ctypes.byref(number)), "says nothing of its shape")
        return number.value

    def _must(self, status: int, what: str) -> None:
        if status:
            raise ModelError(f"the compiled model {self.path} {what} (status {status})", "export the model again")


def _load_library(path: Path) -> ctypes.CDLL:
    """Opens the one library of a package. Its file goes away at once: the mapping keeps what it needs."""
    try:
        with zipfile.ZipFile(path) as package, tempfile.TemporaryDirectory(prefix="recinfer-") as folder:
            members = [each for each in package.infolist() if each.filename.endswith(".so")]
            if len(members) != 1 or members[0].file_size > LARGEST_LIBRARY:
                raise ModelError(f"{path} holds {len(members)} libraries, not one of a dense part", "export again")
            library = Path(folder) / "model.so"
            with package.open(members[0]) as source, library.open("wb") as target:
                while piece := source.read(1 << 24):
                    target.write(piece)
            return ctypes.CDLL(str(library))
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} does not load: {str(error).splitlines()[0]}", "export the model again") from error


_GET_POINTER = ctypes.pythonapi.PyCapsule_GetPointer
_GET_POINTER.restype = ctypes.c_void_p
_GET_POINTER.argtypes = [ctypes.py_object, ctypes.c_char_p]
_NEW_CAPSULE = ctypes.pythonapi.PyCapsule_New
_NEW_CAPSULE.restype = ctypes.py_object
_NEW_CAPSULE.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
