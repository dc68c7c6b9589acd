"""The only reader of environment variables: one typed, frozen object.

Each variable has a command-line flag that says the same and wins over it. Names are those that users of
TorchEasyRec already set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from recinfer.errors import UsageError

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class Environment:
    """What the process was started with.

    Attributes:
        quant_emb: dtype of pooled tables in an export (``QUANT_EMB``), None where unset.
        quant_ec_emb: dtype of sequence tables in an export (``QUANT_EC_EMB``), None where unset.
        quant_dense: type of linear layers in an export (``QUANT_DENSE``), None where unset.
        enable_aot: how the model is compiled in an export (``ENABLE_AOT``): 1 for its dense part, None where unset.
        predict_threads: scorer threads (``RECINFER_PREDICT_THREADS``), None where unset.
        use_farm_hash: bucketize strings with FarmHash (``USE_FARM_HASH_TO_BUCKETIZE``).
        rank: rank among the processes of ``torchrun`` (``RANK``), 0 alone.
        world_size: processes of ``torchrun`` (``WORLD_SIZE``), 1 alone.
        omp_num_threads: threads per parallel region (``OMP_NUM_THREADS``), None where unset.
    """

    quant_emb: str | None = None
    quant_ec_emb: str | None = None
    quant_dense: str | None = None
    enable_aot: int | None = None
    predict_threads: int | None = None
    use_farm_hash: bool = False
    rank: int = 0
    world_size: int = 1
    omp_num_threads: int | None = None


def read_environment(variables: Mapping[str, str] | None = None) -> Environment:
    """Reads the environment once; ``variables`` stands in for it in tests.

    Raises:
        UsageError: a variable holds something that is not of its type.
    """
    source = os.environ if variables is None else variables
    return Environment(
        quant_emb=source.get("QUANT_EMB") or None,
        quant_ec_emb=source.get("QUANT_EC_EMB") or None,
        quant_dense=source.get("QUANT_DENSE") or None,
        enable_aot=_integer(source, "ENABLE_AOT"),
        predict_threads=_integer(source, "RECINFER_PREDICT_THREADS"),
        use_farm_hash=_boolean(source, "USE_FARM_HASH_TO_BUCKETIZE"),
        rank=_integer(source, "RANK") or 0,
        world_size=_integer(source, "WORLD_SIZE") or 1,
        omp_num_threads=_integer(source, "OMP_NUM_THREADS"),
    )


def _integer(source: Mapping[str, str], name: str) -> int | None:
    text = source.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(
            f"environment variable {name}={text!r} is not a whole number", f"unset {name} or give it a number"
        )
    return int(text)


def _boolean(source: Mapping[str, str], name: str) -> bool:
    text = source.get(name, "").strip().lower()
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise UsageError(f"environment variable {name}={text!r} is neither true nor false", f"set {name} to 1 or 0")


def limit_library_threads(threads: int) -> None:
    """Gives each parallel region of OpenMP and MKL so many threads; what the user has set wins.

    Works only before torch is imported, which is when these libraries read their variables.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
