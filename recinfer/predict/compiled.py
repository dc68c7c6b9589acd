"""Runs AOTInductor packages from several threads at once.

The loader that comes with torch holds the interpreter's lock for the whole of a run. The compiled library has a stable
C interface (``torch/csrc/inductor/aoti_runtime/interface.h``); called through :mod:`ctypes`, which lets go of the lock,
threads run side by side.
"""

from __future__ import annotations

import ctypes
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePosixPath

import torch

from recinfer.errors import ModelError

# What the files of a package may weigh together; one beyond it is no model of ours.
LARGEST = 64 << 30
# Files that a library reads when it starts or runs, beside itself: kernels of a GPU.
KERNELS = (".cubin", ".fatbin")
CPU = torch.device("cpu")


class CompiledPackage:
    """A compiled model of an AOTInductor package.

    Inputs are taken as they are: the library checks neither names nor types, so the caller must.

    Args:
        path: ``.pt2``.
        runs: how many may be in flight at once; further ones wait.
        device: that it was compiled for; of a GPU, which one.

    Raises:
        ModelError: the package is damaged, or its library does not load or start here.
    """

    def __init__(self, path: Path, runs: int, device: torch.device = CPU) -> None:
        self.path = path
        self.device = device
        folder = Path(tempfile.mkdtemp(prefix="recinfer-"))
        files = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        try:
            self._library = _load_library(path, folder)
            with _current(device):
                handle = self._start(runs, folder)
        except BaseException:
            files()
            raise
        if device.type == "cpu":
            # The library is mapped, and so are its parameters once it has started: its files may go. A GPU's kernels
            # are read when they first run.
            files()
        self._handle = handle
        # Finalizers run last made first: the model is gone before the files are.
        weakref.finalize(self, _delete, self._library, handle, device)
        self.num_inputs = self._count("AOTInductorModelContainerGetNumInputs")
        self.num_outputs = self._count("AOTInductorModelContainerGetNumOutputs")

    def run(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Runs the model once, on the device's current stream; safe to call from several threads.

        Args:
            inputs: contiguous tensors of the device, of the types and shapes that the package was compiled for.

        Raises:
            ModelError: the model refuses them, because of an id outside its table for one.
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
            self._stream(),
            None,
        )
        self._must(status, "failed", "correct the input; if nothing is wrong with it, export the model again")
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

    def _start(self, runs: int, folder: Path) -> ctypes.c_void_p:
        handle = ctypes.c_void_p()
        create = self._library.AOTInductorModelContainerCreateWithDevice
        create.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p]
        status = create(ctypes.byref(handle), runs, str(self.device).encode(), str(folder).encode())
        self._must(status, f"does not start on {self.device}")
        return handle

    def _stream(self) -> ctypes.c_void_p | None:
        """What runs are put on; None for a processor."""
        if self.device.type == "cpu":
            return None
        return ctypes.c_void_p(torch.cuda.current_stream(self.device).cuda_stream)

    def _count(self, what: str) -> int:
        number = ctypes.c_size_t()
        self._must(getattr(self._library, what)(self._handle, ctypes.byref(number)), "says nothing of its shape")
        return number.value

    def _must(self, status: int, what: str, hint: str = "export the model again") -> None:
        if status:
            said = ctypes.c_char_p()
            self._library.AOTInductorGetLastError(ctypes.byref(said))
            # Behind the first line comes where in the compiled code.
            why = (said.value or b"").decode(errors="replace").strip().partition("\n")[0] or f"status {status}"
            raise ModelError(f"the compiled model {self.path} {what}: {why}", hint)


def _current(device: torch.device) -> AbstractContextManager[object]:
    """Inside, a GPU is the thread's current one: starting a model changes that, and ending it takes it for granted."""
    return nullcontext() if device.type == "cpu" else torch.cuda.device(device)


def _delete(library: ctypes.CDLL, handle: ctypes.c_void_p, device: torch.device) -> None:
    with _current(device):
        library.AOTInductorModelContainerDelete(handle)


def _load_library(path: Path, folder: Path) -> ctypes.CDLL:
    """Opens the one library of a package, whose files are put into a folder."""
    try:
        with zipfile.ZipFile(path) as package:
            members = [each for each in package.infolist() if each.filename.endswith((".so", *KERNELS))]
            libraries = [each for each in members if each.filename.endswith(".so")]
            if len(libraries) != 1 or sum(each.file_size for each in members) > LARGEST:
                raise ModelError(f"{path} holds {len(libraries)} libraries, not one model's", "export again")
            for member in members:
                with package.open(member) as source, (folder / _file_name(member)).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 24)
        return ctypes.CDLL(str(folder / _file_name(libraries[0])))
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} does not load: {str(error).splitlines()[0]}", "export the model again") from error


def _file_name(member: zipfile.ZipInfo) -> str:
    """Without its folders: kernels are looked for beside the library."""
    return PurePosixPath(member.filename).name


_GET_POINTER = ctypes.pythonapi.PyCapsule_GetPointer
_GET_POINTER.restype = ctypes.c_void_p
_GET_POINTER.argtypes = [ctypes.py_object, ctypes.c_char_p]
_NEW_CAPSULE = ctypes.pythonapi.PyCapsule_New
_NEW_CAPSULE.restype = ctypes.py_object
_NEW_CAPSULE.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
