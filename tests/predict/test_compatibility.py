"""What an export asks for against what a machine has: pure functions over the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recinfer.predict import compatibility
from recinfer.predict.compatibility import check, on_device, refuse, version_parts
from recinfer.predict.machine import Machine, read_cpu_features, this_machine

HERE = Machine(
    "x86_64",
    frozenset({"avx", "avx2", "fma"}),
    versions={"torch": "2.13.0+cpu", "fbgemm-gpu-cpu": "1.8.0"},
)
WITH_GPU = Machine(
    "x86_64", HERE.cpu_features, "sm_90", {"torch": "2.13.0+cu130", "fbgemm-gpu": "1.8.0", "torch-tensorrt": "2.13.0"}
)


def manifest(kind: str, **changes: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": kind,
        "device": "cpu",
        "machine": "x86_64",
        "cpu_features": ["avx2", "fma"] if kind != "torchscript" else [],
        "versions": {"torch": "2.13.0+cpu", "fbgemm-gpu-cpu": "1.8.0"},
    } | changes


def found(content: dict[str, Any], machine: Machine = HERE) -> list[tuple[str, bool]]:
    return [(each.what, each.fatal) for each in check(content, machine)]


def test_an_export_of_the_reference_asks_for_nothing() -> None:
    assert found({}) == []


@pytest.mark.parametrize("kind", ["torchscript", *compatibility.COMPILED_KINDS])
def test_the_machine_that_made_it_runs_it(kind: str) -> None:
    assert found(manifest(kind)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"versions": {"torch": "2.12.1"}}, []),
        ({"versions": {"torch": "2.13.1"}}, []),
        ({"versions": {"torch": "2.14.0"}}, [("torch", False)]),
        ({"versions": {"torch": "3.0.0a0+git"}}, [("torch", False)]),
        ({"versions": {"fbgemm-gpu": "1.9.0"}}, [("fbgemm", False)]),
        ({"machine": "aarch64"}, []),
        ({"cpu_features": ["sve2"]}, []),
    ],
)
def test_a_scripted_export_only_warns_of_what_is_newer(changes: dict[str, Any], expected: list[Any]) -> None:
    assert found(manifest("torchscript", **changes)) == expected


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("aot", {"versions": {"torch": "2.13.0+cu130"}}, []),
        ("aot", {"versions": {"torch": "2.12.1"}}, ["torch"]),
        ("aot", {"versions": {"torch": "2.13.1"}}, ["torch"]),
        ("aot", {"versions": {"torch": "2.13.0", "fbgemm-gpu-cpu": "1.7.0"}}, []),
        # It calls an operator of fbgemm by name.
        ("aot-unified", {"versions": {"torch": "2.13.0", "fbgemm-gpu-cpu": "1.7.0"}}, ["fbgemm"]),
        ("aot-unified", {"versions": {"torch": "2.13.0", "fbgemm-gpu-cpu": "1.8.9"}}, []),
        ("aot-unified", {"versions": {"torch": "2.12.0"}}, ["torch"]),
        ("aot", {"cpu_features": ["avx2", "avx512f", "avx512bw"]}, ["processor"]),
        ("aot", {"machine": "aarch64", "cpu_features": ["sve"]}, ["processor architecture"]),
        ("aot", {"device": "cuda", "gpu": "sm_90"}, ["GPU"]),
        ("trt", {"device": "cuda:0", "versions": {"torch-tensorrt": "2.13.0"}}, ["GPU", "torch-tensorrt"]),
    ],
)
def test_a_compiled_export_is_refused_where_the_machine_differs(
    kind: str, changes: dict[str, Any], expected: list[str]
) -> None:
    assert found(manifest(kind, **changes)) == [(what, True) for what in expected]


def test_gpu_architectures() -> None:
    asked = manifest("trt", device="cuda", gpu="sm_90", versions={"torch-tensorrt": "2.13.4"})
    assert found(asked, WITH_GPU) == []
    assert found(asked | {"gpu": "sm_80"}, WITH_GPU) == [("GPU architecture", True)]


@pytest.mark.parametrize(
    ("content", "asked", "expected"),
    [
        ({"device": "cuda"}, "cpu", [("device", "cuda", "--device cpu")]),
        ({"device": "cpu"}, "cuda", [("device", "cpu", "--device cuda")]),
        ({"device": "cuda"}, "cuda", []),
        ({"device": "cuda"}, "", []),
        # An export of the reference does not say what it is for.
        ({}, "cuda", []),
        ({}, "cpu", []),
    ],
)
def test_the_device_that_is_asked_for(content: dict[str, Any], asked: str, expected: list[Any]) -> None:
    found = list(on_device(content, asked))
    assert [(each.what, each.needed, each.found) for each in found] == expected
    assert all(each.fatal for each in found)


def test_a_processor_that_does_not_say_what_it_has_is_warned_of() -> None:
    assert found(manifest("aot"), Machine("x86_64", None, versions=HERE.versions)) == [("processor", False)]


def test_the_error_says_all_that_differs_and_what_to_do() -> None:
    asked = manifest("aot", versions={"torch": "2.12.0"}, cpu_features=["avx512f"])
    text = str(refuse("out/export", "aot", check(asked, HERE), ["jit"]))
    assert "out/export: this export (aot) does not run here" in text
    assert "torch: it asks for 2.12.0, here is 2.13.0+cpu" in text
    assert "avx512f" in text and "--fallback jit" in text
    assert "--fallback" not in str(refuse("out/export", "aot", check(asked, HERE), []))


@pytest.mark.parametrize(
    ("text", "parts"),
    [("2.13.0+cpu", (2, 13, 0)), ("1.8.0", (1, 8, 0)), ("2.14.0a0+gitabc", (2, 14, 0)), ("3.0rc1", (3, 0)), ("", ())],
)
def test_versions(text: str, parts: tuple[int, ...]) -> None:
    assert version_parts(text) == parts


def test_cpu_features_of_both_architectures(tmp_path: Path) -> None:
    path = tmp_path / "cpuinfo"
    assert read_cpu_features(path) is None
    path.write_text("processor\t: 0\nflags\t\t: fpu vmx avx2 fma avx512_bf16 aes\nflags\t\t: none\n", encoding="utf-8")
    assert read_cpu_features(path) == {"avx2", "fma", "avx512_bf16"}
    path.write_text("processor\t: 0\nFeatures\t: fp asimd sve2 cpuid\n", encoding="utf-8")
    assert read_cpu_features(path) == {"asimd", "sve2"}
    path.write_text("processor\t: 0\n", encoding="utf-8")
    assert read_cpu_features(path) is None


def test_this_machine_can_do_what_torch_says() -> None:
    import torch

    machine = this_machine()
    named = torch.backends.cpu.get_cpu_capability()
    needed = {"AVX2": {"avx2", "fma"}, "AVX512": {"avx512f", "avx512bw", "avx2"}}.get(named, set())
    assert needed <= (machine.cpu_features or set())
    assert version_parts(machine.versions["torch"]) == version_parts(torch.__version__)
