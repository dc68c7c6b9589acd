"""The types that products of an export's dense part are computed in."""

from __future__ import annotations

from recinfer.errors import UsageError

# As `export_config.mixed_precision` spells them; "" is single precision.
PRECISIONS = ("", "BF16", "FP16")
NAMES_OF_NONE = frozenset({"none", "off", "0", "fp32"})


def precision_name(*asked: str | None) -> str:
    """``BF16``, ``FP16``, or "" for single precision.

    Args:
        asked: the flag, the environment and the config, None where it is unset; the first that is set decides.

    Raises:
        UsageError: it is unknown.
    """
    name = next((each for each in asked if each), "")
    chosen = "" if name.lower() in NAMES_OF_NONE else name.upper()
    if chosen not in PRECISIONS:
        raise UsageError(f"mixed precision {name!r} is unknown", "use BF16, FP16 or none")
    return chosen


def check_precision(precision: str, device: str) -> None:
    """Refuses a type that a device has no products in.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        UsageError: it has none.
    """
    if precision == "FP16" and device == "cpu":
        raise UsageError(
            "mixed precision FP16 is for exports that run on a GPU: processors multiply in FP32 or BF16",
            "use --mixed-precision bf16 or none, or --device cuda",
        )
