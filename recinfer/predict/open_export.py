"""Opens an export folder: checks it first, then picks the scorer of its kind."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from recinfer.errors import ModelError, UsageError
from recinfer.predict import signature
from recinfer.predict.compatibility import SCRIPTED_KIND, Mismatch, check, for_gpu, on_device, refuse
from recinfer.predict.compiled_inputs import INTERFACE
from recinfer.predict.compiled_scorer import COMPILED, SPARSE, CompiledScorer, UnifiedScorer
from recinfer.predict.device import CPU, device_of
from recinfer.predict.export_scorer import CONFIG, SCRIPTED, ExportScorer, require
from recinfer.predict.machine import Machine, this_machine
from recinfer.predict.manifest import MANIFEST, Manifest, read_manifest
from recinfer.predict.manifest_check import check_files
from recinfer.predict.scorer import Scorer
from recinfer.predict.tensorrt_scorer import ENGINE, TensorRTScorer

log = logging.getLogger(__name__)

# The trained parameters of an export that carries them, as `--fallback eager` reads them.
WEIGHTS = "weights.safetensors"

# What `--fallback` may name, and the file that an export must carry for it.
FALLBACKS = {"jit": SCRIPTED, "eager": WEIGHTS}

Open = Callable[[Path, str, torch.device], Scorer]
"""Makes a scorer of a checked folder, a fingerprint and a device."""

OPENERS: dict[str, Open] = {
    SCRIPTED_KIND: ExportScorer,
    "aot": CompiledScorer,
    "aot-unified": UnifiedScorer,
    "trt": TensorRTScorer,
}
# The files that decide the scores of each kind.
PROGRAMS: dict[str, tuple[str, ...]] = {
    SCRIPTED_KIND: (SCRIPTED,),
    "aot": (SPARSE, COMPILED),
    "aot-unified": (COMPILED,),
    "trt": (SPARSE, ENGINE),
}


def is_export(folder: Path) -> bool:
    """Whether a folder is meant to be an export, complete or not."""
    return any((folder / name).is_file() for name in (MANIFEST, SCRIPTED, COMPILED))


def open_export(
    folder: Path,
    fingerprint: Callable[[Path], str],
    *,
    fallback: str | None = None,
    eager: Callable[[Path, Path], Scorer] | None = None,
    public_key: Path | None = None,
    device: torch.device | None = None,
    machine: Machine | None = None,
) -> Scorer:
    """A scorer of an export, after everything about it is checked; nothing in it runs before.

    Args:
        folder: of ours, or of the reference.
        fingerprint: of a file, for folders that list no SHA-256.
        fallback: ``jit`` or ``eager``: what to score with where the compiled part does not run here.
        eager: makes a scorer of a config and weights; for the fallback of that name.
        public_key: of the signature that the export must have; None asks for none.
        device: to score on; by default what the export was made for.
        machine: what is there; by default this one.

    Raises:
        ModelError: the folder is no export, is damaged, or does not run here.
        SignatureMissingError, SignatureKeyError, TamperedError: with ``public_key``.
    """
    if public_key is not None:
        signature.verify(folder, public_key)
    hashes = check_files(folder)
    manifest = read_manifest(folder)
    kind = kind_of(manifest, folder)
    here = machine or this_machine(gpu=for_gpu(manifest), device=device if device and device.type == "cuda" else None)
    _refuse_foreign_code(folder, kind, manifest)
    fatal = [*on_device(manifest, device.type if device else ""), *_mismatches(folder, manifest, here)]
    if not fatal:
        chosen = device or (device_of("cuda") if for_gpu(manifest) else CPU)
        return _opener(kind, folder)(folder, _fingerprint(kind, hashes, folder, fingerprint), chosen)
    _check_fallback(folder, kind, fatal, fallback)
    log.warning("%s: scoring with --fallback %s: %s", folder, fallback, "; ".join(map(str, fatal)))
    if fallback == "jit":
        return ExportScorer(folder, _fingerprint(SCRIPTED_KIND, hashes, folder, fingerprint))
    if eager is None:
        raise UsageError("--fallback eager needs the model's code, which is not at hand here", "use --fallback jit")
    return eager(folder / CONFIG, folder / WEIGHTS)


def kind_of(manifest: Manifest, folder: Path) -> str:
    """The kind of an export; one of the reference is told by its files."""
    if "kind" in manifest:
        return manifest["kind"]
    return SCRIPTED_KIND if (folder / SCRIPTED).is_file() or not (folder / COMPILED).is_file() else "aot"


def _refuse_foreign_code(folder: Path, kind: str, manifest: Manifest) -> None:
    """Of machine code of the reference nobody knows what it takes, in which order, and what it needs."""
    if not manifest and kind != SCRIPTED_KIND:
        raise ModelError(
            f"{folder} is a compiled export without {MANIFEST}, as TorchEasyRec makes them: nothing says what its "
            "machine code takes and needs",
            "export its checkpoint with recinfer-export --aot, or as TorchScript",
        )


def check_complete(kind: str, folder: Path) -> None:
    """Refuses an export of ours without the files that its kind cannot do without.

    Raises:
        ModelError: one is missing, or this version knows no such kind.
    """
    _opener(kind, folder)
    for name in (*PROGRAMS[kind], *(() if kind == SCRIPTED_KIND else (INTERFACE,))):
        require(folder, name)


def carried_fallbacks(folder: Path, kind: str) -> list[str]:
    """Values of ``--fallback`` for which a folder carries what is needed; ``jit`` says nothing for a scripted one."""
    return [
        name for name, file in FALLBACKS.items() if (folder / file).is_file() and (name, kind) != ("jit", SCRIPTED_KIND)
    ]


def _mismatches(folder: Path, manifest: Manifest, machine: Machine) -> list[Mismatch]:
    """What keeps an export from running on a machine; warns of what might."""
    found = check(manifest, machine)
    for mismatch in found:
        if not mismatch.fatal:
            log.warning("%s: %s", folder, mismatch)
    return [mismatch for mismatch in found if mismatch.fatal]


def _check_fallback(folder: Path, kind: str, fatal: list[Mismatch], fallback: str | None) -> None:
    """Refuses an export that does not run here, unless it carries the fallback that is asked for."""
    carried = carried_fallbacks(folder, kind)
    if fallback is None:
        raise refuse(folder, kind, fatal, carried)
    if fallback not in carried:
        raise ModelError(
            f"{refuse(folder, kind, fatal, []).message}\nand --fallback {fallback} is not possible: it carries no "
            f"{FALLBACKS.get(fallback, fallback)}",
            f"use --fallback {' or '.join(carried)}" if carried else "export again on such a machine",
        )


def _opener(kind: str, folder: Path) -> Open:
    if kind not in OPENERS:
        raise ModelError(
            f"{folder} is an export of kind {kind!r}, which this version does not score with",
            "install a newer recinfer, or export again without it",
        )
    return OPENERS[kind]


def _fingerprint(kind: str, hashes: Mapping[str, str], folder: Path, of_file: Callable[[Path], str]) -> str:
    """Of what decides the scores: the SHA-256 of the program, or one over those of several."""
    found = [hashes.get(name) or of_file(folder / name) for name in PROGRAMS[kind] if (folder / name).is_file()]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()
