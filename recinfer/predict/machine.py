"""What the machine that runs this process can do: the facts that a compiled export depends on."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

# Packages whose versions decide whether an export loads and gives the same scores.
PACKAGES = ("torch", "fbgemm-gpu-cpu", "fbgemm-gpu", "torch-tensorrt", "tensorrt")

# Instruction sets that a compiler told to use all of a machine (`-march=native`) picks by itself, and those that
# generated kernels name, as /proc/cpuinfo calls them. Cryptography, virtualization and the like do not matter here.
X86_SETS = frozenset({
    "abm", "amx_bf16", "amx_fp16", "amx_int8", "amx_tile", "avx", "avx2", "avx_ifma", "avx_ne_convert",
    "avx_vnni", "avx_vnni_int8", "bmi1", "bmi2", "cx16", "f16c", "fma", "fma4", "gfni", "movbe", "pni",
    "popcnt", "sse", "sse2", "sse4_1", "sse4_2", "sse4a", "ssse3", "tbm", "xop",
})  # fmt: skip
ARM_SETS = frozenset({
    "asimd", "asimddp", "asimdfhm", "asimdhp", "asimdrdm", "atomics", "bf16", "crc32", "fphp", "i8mm", "jscvt",
    "lrcpc", "sve", "sve2", "svebf16", "svei8mm",
})  # fmt: skip
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """What compiled code asks of a machine.

    Attributes:
        machine: its architecture, such as ``x86_64``.
        cpu_features: instruction sets, by the names of ``/proc/cpuinfo``; None where the system does not list them.
        gpu: compute capability of the GPU in question, such as ``sm_90``; "" without one.
        versions: of installed packages, by name.
    """

    machine: str
    cpu_features: frozenset[str] | None
    gpu: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def this_machine(*, gpu: bool = True, device: torch.device | None = None) -> Machine:
    """The facts of the machine that this process runs on.

    Args:
        gpu: whether to ask for the GPU, which takes a moment and starts CUDA.
        device: which GPU; by default the first one.
    """
    found = gpu_architecture(device) if gpu else ""
    return Machine(platform.machine(), read_cpu_features(CPUINFO), found, installed_versions())


def read_cpu_features(cpuinfo: Path) -> frozenset[str] | None:
    """Instruction sets of the first processor that a ``/proc/cpuinfo`` lists; None where there is no such file."""
    if not cpuinfo.is_file():
        return None
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        name, colon, flags = line.partition(":")
        if colon and name.strip() in {"flags", "Features"}:
            known = X86_SETS if name.strip() == "flags" else ARM_SETS
            return frozenset(flag for flag in flags.split() if flag in known or flag.startswith("avx512"))
    return None


def gpu_architecture(device: torch.device | None = None) -> str:
    """``sm_90`` for compute capability 9.0 of a GPU, by default the first one; "" without one."""
    if not torch.cuda.is_available():
        return ""
    major, minor = torch.cuda.get_device_capability(0 if device is None else device)
    return f"sm_{major}{minor}"


def installed_versions() -> dict[str, str]:
    """Versions of those :data:`PACKAGES` that are installed."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
