"""Compiled models use the C++ library of the process, whatever the compiler is set to link."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
import torch
from torch._inductor import config as inductor

from recinfer.errors import ModelError
from recinfer.export import compile as compiling
from recinfer.export.compile import _reason, compile_ahead
from recinfer.export.cpp_runtime import PIECE, shares_runtime
from recinfer.predict.compiled import CompiledPackage
from recinfer.predict.compiled_inputs import interface_of

# A compiler that links libstdc++ into every library.
STATIC = """#!/bin/sh
case "$*" in *-shared*) exec g++ -static-libstdc++ "$@" ;; esac
exec g++ "$@"
"""


class Layer(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.top = torch.nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": self.top(x)}


@pytest.fixture
def static_compiler(tmp_path: Path) -> str:
    path = tmp_path / "g++"
    path.write_text(STATIC)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def compile_layer(path: Path) -> tuple[Layer, torch.Tensor]:
    layer, examples = Layer(), [[torch.randn(rows, 8)] for rows in (3, 5)]
    compile_ahead(layer, interface_of(["x"], examples, ["y"]), examples[0], path)
    return layer, examples[0][0]


@pytest.mark.slow
def test_a_compiler_that_links_libstdcpp_statically_makes_a_model_that_runs(
    tmp_path: Path, static_compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.pt2"
    with inductor.patch({"cpp.cxx": (None, static_compiler)}):
        layer, given = compile_layer(path)
        torch.testing.assert_close(CompiledPackage(path, 1).run([given])[0], layer(given)["y"])
        # And this is what it is kept from.
        monkeypatch.setattr(compiling, "shares_runtime", lambda package: True)
        compile_layer(path)
    assert not shares_runtime(path)


class Rotation(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": torch.matrix_exp(x.t() @ x)}


def test_an_operator_that_machine_code_cannot_call_is_told_at_once(tmp_path: Path) -> None:
    examples = [[torch.randn(rows, 8)] for rows in (3, 5)]
    interface = interface_of(["x"], examples, ["y"])
    with pytest.raises(ModelError, match="has operators that machine code cannot call"):
        compile_ahead(Rotation(), interface, examples[0], tmp_path / "model.pt2")


def test_a_machine_without_a_compiler_says_so(tmp_path: Path) -> None:
    with (
        inductor.patch({"cpp.cxx": (None, "g++-that-is-not-there")}),
        pytest.raises(ModelError, match=r"no C\+\+ compiler(.|\n)*install g\+\+"),
    ):
        compile_layer(tmp_path / "model.pt2")


@pytest.mark.slow
def test_a_compiler_that_cannot_do_otherwise_is_named(
    tmp_path: Path, static_compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "SHARED", "m")
    with (
        inductor.patch({"cpp.cxx": (None, static_compiler)}),
        pytest.raises(ModelError, match=r"links libstdc\+\+ into what it makes"),
    ):
        compile_layer(tmp_path / "model.pt2")


@pytest.mark.parametrize(
    ("content", "shared"),
    [
        (b"\x7fELF..libstdc++.so.6\0..", True),
        (b"\x7fELF..libc++.so.1\0..", True),
        (b"\x7fELF..libtorch_cpu.so\0GLIBCXX_3.4\0", False),
        (bytes(PIECE - 5) + b"libstdc++.so.6" + bytes(9), True),
        (b"", False),
    ],
)
def test_the_name_of_a_shared_library_is_found(tmp_path: Path, content: bytes, shared: bool) -> None:
    with zipfile.ZipFile(tmp_path / "model.pt2", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("model/data/model.so", content)
        package.writestr("model/data/model.cpp", b"libstdc++.so.6")
    assert shares_runtime(tmp_path / "model.pt2") == shared


def test_a_compiler_that_fails_says_why() -> None:
    said = "C++ compile error\n\nCommand:\ng++ x.cpp\n\nOutput:\nx.cpp: note\nx.cpp:3: fatal error: no room\nend\n"
    assert _reason(RuntimeError(said)) == "C++ compile error: x.cpp:3: fatal error: no room"
    assert _reason(RuntimeError("it is\nnot possible")) == "it is"
    assert _reason(ValueError()) == "ValueError()"
