"""Refuses flags that say nothing to the kind of export at hand, rather than dropping them unheard."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from recinfer.errors import UsageError

COMPILED = ("aot", "aot-unified", "trt")
# The kinds that a parameter of `recinfer.export` means something to; those that all kinds have are not here.
KINDS_OF_FLAGS: Mapping[str, tuple[str, ...]] = {
    "fold_mib": ("torchscript", "aot", "trt", "auto"),
    "max_batch_size": (*COMPILED, "auto"),
    "cudnn_allow_tf32": COMPILED,
    "cuda_matmul_allow_tf32": COMPILED,
    "trt_max_seq_len": ("trt",),
    "trt_workspace_mib": ("trt",),
    "debug_trt": ("trt",),
}
ON_GPU = ("cudnn_allow_tf32", "cuda_matmul_allow_tf32")


def refuse_unused(kind: str, device_type: str, given: Mapping[str, Any], carry: Collection[str]) -> None:
    """Looks at what was asked for; None and False ask for nothing.

    Args:
        kind: a key of :data:`~recinfer.export.kinds.KINDS`, or ``auto``.
        given: flags by parameter name.
        carry: what the export shall carry besides.

    Raises:
        UsageError: a flag says nothing to the kind, or to an export for the device.
    """
    asked = [name for name in given if given[name] is not None and given[name] is not False]
    for name in asked:
        kinds = KINDS_OF_FLAGS.get(name, (kind,))
        flag = f"--{name.replace('_', '-')}"
        if kind not in kinds:
            raise UsageError(
                f"{flag} says nothing to an export of kind {kind}",
                f"leave it out, or use one of the kinds {', '.join(kinds)} (--accelerate)",
            )
        if name in ON_GPU and device_type != "cuda":
            raise UsageError(f"{flag} is about products on a GPU", "leave it out, or add --device cuda")
    if kind == "torchscript" and "jit" in carry:
        raise UsageError("an export of kind torchscript is what --carry jit would carry", "leave --carry jit out")
