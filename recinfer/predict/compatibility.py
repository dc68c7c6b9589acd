"""Whether an export runs on a machine: what its manifest asks for against what is there.

A scripted export carries no compiled code: an older one loads in any newer torch, and what an older torch lacks shows
when the file loads. So versions from the future are only warned about.
Compiled exports hold machine code and call the libraries that they were built with by their binary interface: there a
difference can be a crash or a wrong score, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from recinfer.errors import ModelError
from recinfer.predict.machine import Machine
from recinfer.predict.manifest import Manifest

SCRIPTED_KIND = "torchscript"
COMPILED_KINDS = ("aot", "aot-unified", "trt")

# Packages whose version compiled code is built against, and how many parts of it must be the same.
BUILT_AGAINST: Mapping[str, Mapping[str, int]] = {
    "aot": {"torch": 3},
    # Its library calls fbgemm's lookup by the operator's name and arguments.
    "aot-unified": {"torch": 3, "fbgemm": 2},
    "trt": {"torch": 3, "torch-tensorrt": 2, "tensorrt": 2},
}


@dataclass(frozen=True)
class Mismatch:
    """One difference between what an export asks for and what is there.

    Attributes:
        what: differs, such as ``torch``.
        needed, found: both sides, for people.
        fatal: False where the export may run all the same.
    """

    what: str
    needed: str
    found: str
    fatal: bool

    def __str__(self) -> str:
        return f"{self.what}: it asks for {self.needed}, here is {self.found}"


def check(manifest: Manifest, machine: Machine) -> list[Mismatch]:
    """Holds a manifest against a machine.

    Args:
        manifest: the content of ``recinfer.json``; empty for an export of the reference, which asks for nothing.
        machine: what is there.

    Returns:
        All differences that matter, those that are fatal first.
    """
    rules: tuple[Callable[[Manifest, Machine], Iterator[Mismatch]], ...]
    if manifest.get("kind", SCRIPTED_KIND) in COMPILED_KINDS:
        rules = (_architecture, _instruction_sets, _gpu, _built_against)
    else:
        rules = (_newer_versions,)
    found = [mismatch for rule in rules for mismatch in rule(manifest, machine)]
    return sorted(found, key=lambda mismatch: not mismatch.fatal)


def refuse(folder: object, kind: str, fatal: list[Mismatch], fallbacks: list[str]) -> ModelError:
    """The error for an export that does not run here: all that differs, and what to do.

    Args:
        folder: of the export.
        kind: of the export.
        fatal: what differs.
        fallbacks: values of ``--fallback`` that the folder carries.
    """
    lines = "\n".join(f"  - {mismatch}" for mismatch in fatal)
    use = f"--fallback {' or '.join(fallbacks)} runs what the folder carries besides, or " if fallbacks else ""
    if all(mismatch.what == "device" for mismatch in fatal):
        hint = f"{use}leave --device out, or export again with it"
    else:
        hint = f"{use}export again on such a machine, or install the versions that it was made with"
    return ModelError(f"{folder}: this export ({kind}) does not run here:\n{lines}", hint)


def for_gpu(manifest: Manifest) -> bool:
    """Whether an export was made for a GPU."""
    return manifest.get("device", "cpu").startswith("cuda")


def on_device(manifest: Manifest, asked: str) -> Iterator[Mismatch]:
    """Whether an export scores on a device that the user asks for.

    Args:
        asked: ``cpu`` or ``cuda``; "" for whichever it was made for.
    """
    # An export of the reference does not say what it was made for.
    made_for = manifest.get("device", asked).partition(":")[0]
    if asked and asked != made_for:
        yield Mismatch("device", made_for, f"--device {asked}", True)


def version_parts(text: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` as (2, 13, 0): the release alone, since builds of one release share their interface."""
    parts: list[int] = []
    for piece in text.split("+")[0].split("."):
        digits = piece[: next((place for place, sign in enumerate(piece) if not sign.isdecimal()), len(piece))]
        if not digits:
            break
        parts.append(int(digits))
        if digits != piece:
            break
    return tuple(parts)


def _newer_versions(manifest: Manifest, machine: Machine) -> Iterator[Mismatch]:
    for name in ("torch", "fbgemm"):
        needed, found = _version(manifest.get("versions", {}), name), _version(machine.versions, name)
        if needed and found and version_parts(needed)[:2] > version_parts(found)[:2]:
            yield Mismatch(name, f"{needed} or newer", found, False)


def _architecture(manifest: Manifest, machine: Machine) -> Iterator[Mismatch]:
    needed = manifest.get("machine", "")
    if needed and needed != machine.machine:
        yield Mismatch("processor architecture", needed, machine.machine, True)


def _instruction_sets(manifest: Manifest, machine: Machine) -> Iterator[Mismatch]:
    # Another architecture lacks them all, which is said already.
    if manifest.get("machine", machine.machine) != machine.machine:
        return
    needed = set(manifest.get("cpu_features", ()))
    if needed and machine.cpu_features is None:
        yield Mismatch("processor", ", ".join(sorted(needed)), "a system that does not list what it has", False)
        return
    missing = sorted(needed - (machine.cpu_features or set()))
    if missing:
        yield Mismatch("processor", f"the instruction sets {', '.join(missing)}", "a processor without them", True)


def _gpu(manifest: Manifest, machine: Machine) -> Iterator[Mismatch]:
    if not for_gpu(manifest):
        return
    needed = manifest.get("gpu", "")
    if not machine.gpu:
        yield Mismatch("GPU", needed or "one", "none", True)
    elif needed and needed != machine.gpu:
        yield Mismatch("GPU architecture", needed, machine.gpu, True)


def _built_against(manifest: Manifest, machine: Machine) -> Iterator[Mismatch]:
    for name, parts in BUILT_AGAINST[manifest["kind"]].items():
        needed, found = _version(manifest.get("versions", {}), name), _version(machine.versions, name)
        if needed and version_parts(needed)[:parts] != version_parts(found)[:parts]:
            yield Mismatch(name, needed, found or "none", True)


def _version(versions: Mapping[str, str], name: str) -> str:
    """Of a package; fbgemm comes under two names."""
    names = ("fbgemm-gpu-cpu", "fbgemm-gpu") if name == "fbgemm" else (name,)
    return next((versions[each] for each in names if versions.get(each)), "")
