"""What a compiled library is handed on each device, told by one that stands in for it and writes down its calls."""

from __future__ import annotations

import gc
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from recinfer.errors import ModelError
from recinfer.predict.compiled import CompiledPackage

# The C interface of `aoti_runtime/interface.h`. Each run gives its first input back, if the kernel is where it was said
# to be when the library started.
LIBRARY = r"""
#include <cstdint>
#include <cstdio>
#include <string>
using Tensor = void*;
static std::string device, folder, error;
static FILE* log() { return std::fopen(LOG, "a"); }
extern "C" {
int AOTInductorModelContainerCreateWithDevice(void** handle, size_t runs, const char* where, const char* kernels) {
    device = where; folder = kernels; *handle = new int(0);
    FILE* out = log(); std::fprintf(out, "start %s %zu\n", where, runs); std::fclose(out);
    if (device != "cuda:7") return 0;
    error = "invalid device ordinal\nat line 1";
    return 1;
}
int AOTInductorModelContainerDelete(void* handle) {
    FILE* kernel = std::fopen((folder + "/one.cubin").c_str(), "r");
    FILE* out = log(); std::fprintf(out, "delete %s\n", kernel ? "with kernels" : "without"); std::fclose(out);
    if (kernel) std::fclose(kernel);
    delete static_cast<int*>(handle);
    return 0;
}
int AOTInductorModelContainerGetNumInputs(void*, size_t* number) { *number = 2; return 0; }
int AOTInductorModelContainerGetNumOutputs(void*, size_t* number) { *number = 1; return 0; }
int AOTInductorGetLastError(const char** said) { *said = error.c_str(); return 0; }
int AOTInductorModelContainerRun(void*, Tensor* in, size_t ins, Tensor* out, size_t outs, void* stream, void* proxy) {
    FILE* file = log();
    std::fprintf(file, "run %zu %zu %lu %d\n", ins, outs, (unsigned long)(uintptr_t)stream, proxy != nullptr);
    std::fclose(file);
    FILE* kernel = std::fopen((folder + "/one.cubin").c_str(), "r");
    if (!kernel && device != "cpu") { error = "no kernel"; return 1; }
    if (kernel) std::fclose(kernel);
    out[0] = in[0];
    return 0;
}
}
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "calls.txt"


@pytest.fixture
def package(tmp_path: Path, log: Path) -> Path:
    """A package as torch makes them for a GPU: a library, and a kernel beside it that it reads when it runs."""
    source = tmp_path / "library.cpp"
    source.write_text(LIBRARY.replace("LOG", f'"{log}"'))
    compiler = shutil.which("g++")
    assert compiler is not None
    subprocess.run([compiler, "-shared", "-fPIC", "-o", tmp_path / "library.so", source], check=True)
    with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
        archive.write(tmp_path / "library.so", "model/data/aotinductor/model/library.so")
        archive.writestr("model/data/aotinductor/model/one.cubin", b"kernel")
        archive.writestr("model/data/aotinductor/model/wrapper.cpp", "")
    return tmp_path / "model.pt2"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """What lies in each folder that a package was unpacked into."""
    place = tmp_path / "unpacked"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    return lambda: [sorted(path.name for path in each.iterdir()) for each in place.iterdir()]


def test_on_a_gpu(
    package: Path, log: Path, folders: Callable[[], list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.device] = []

    def stream(device: torch.device) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(cuda_stream=4660)

    current: list[str] = []

    @contextmanager
    def device(which: torch.device) -> Iterator[None]:
        current.append(str(which))
        yield
        current.append("back")

    monkeypatch.setattr(torch.cuda, "current_stream", stream)
    monkeypatch.setattr(torch.cuda, "device", device)
    model = CompiledPackage(package, 5, torch.device("cuda", 1))
    assert (model.num_inputs, model.num_outputs) == (2, 1)
    assert folders() == [["library.so", "one.cubin"]]
    given = [torch.arange(3.0), torch.zeros(1)]
    (found,) = model.run(given)
    assert found.tolist() == [0, 1, 2] and found.data_ptr() == given[0].data_ptr()
    assert asked == [torch.device("cuda", 1)]
    del model
    gc.collect()
    assert current == ["cuda:1", "back"] * 2
    # The model goes before its files do.
    assert log.read_text().splitlines() == ["start cuda:1 5", "run 2 1 4660 0", "delete with kernels"]
    assert folders() == []


def test_on_a_processor(package: Path, log: Path, folders: Callable[[], list[list[str]]]) -> None:
    model = CompiledPackage(package, 3)
    # The library is mapped: nothing of it is read again.
    assert folders() == []
    assert model.run([torch.ones(2), torch.zeros(1)])[0].tolist() == [1, 1]
    del model
    gc.collect()
    assert log.read_text().splitlines() == ["start cpu 3", "run 2 1 0 0", "delete without"]


def test_a_library_that_does_not_start_leaves_nothing(
    package: Path, folders: Callable[[], list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    with pytest.raises(ModelError, match=r"does not start on cuda:7: invalid device ordinal\n"):
        CompiledPackage(package, 1, torch.device("cuda", 7))
    assert folders() == []
