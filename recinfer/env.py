"""The only reader of environment variables: one typed, frozen object.

Each variable has a command-line flag that says the same and wins over it. Names are those that users of
TorchEasyRec already set.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

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
        enable_aot: how the model is compiled in an export (``ENABLE_AOT``): 1 for its dense part, 2 (also
            ``UNIFIED_AOT=1``) for all of it, None where unset.
        input_tile: how an export repeats user-side features (``INPUT_TILE``): 2 at the ids, 3 at the embeddings, None
            where unset.
        input_tile_3_online: whether they come for online scoring (``INPUT_TILE_3_ONLINE``).
        enable_trt: whether an export's dense part is compiled with TensorRT (``ENABLE_TRT``).
        debug_trt: log and time that (``DEBUG_TRT``).
        trt_max_seq_len: longest sequence of such an export (``TRT_MAX_SEQ_LEN``), None where unset.
        trt_workspace_mib: memory that TensorRT may try layers with (``TRT_WORKSPACE_MIB``), None where unset.
        max_export_batch_size: largest batch of a compiled export (``MAX_EXPORT_BATCH_SIZE``, else
            ``TRT_MAX_BATCH_SIZE``), None where unset.
        mixed_precision: type of products in an export (``MIXED_PRECISION``), None where unset.
        cudnn_allow_tf32, cuda_matmul_allow_tf32: whether products on a GPU may round their inputs to TF32
            (``CUDNN_ALLOW_TF32``, ``CUDA_MATMUL_ALLOW_TF32``), None where unset.
        predict_threads: scorer threads (``RECINFER_PREDICT_THREADS``), None where unset.
        use_farm_hash: bucketize strings with FarmHash (``USE_FARM_HASH_TO_BUCKETIZE``).
        rank: rank among the processes of ``torchrun`` (``RANK``), 0 alone.
        world_size: processes of ``torchrun`` (``WORLD_SIZE``), 1 alone.
        local_rank: rank among the processes of this machine (``LOCAL_RANK``), 0 alone.
        local_world_size: processes of ``torchrun`` on this machine (``LOCAL_WORLD_SIZE``), 1 alone.
        master_addr, master_port: where the processes meet (``MASTER_ADDR``, ``MASTER_PORT``), None where unset.
        agent_store: ``torchrun`` itself serves that port (``TORCHELASTIC_USE_AGENT_STORE``); else rank 0 does.
        restart_count: how often ``torchrun`` has started the processes anew (``TORCHELASTIC_RESTART_COUNT``).
        s3_endpoint: address of an S3 store other than Amazon's (``AWS_ENDPOINT_URL_S3``, else ``AWS_ENDPOINT_URL``),
            None where unset; a URI's option ``endpoint_override`` wins.
        cache_home: where programs keep what they can get again (``XDG_CACHE_HOME``); ``~/.cache`` where unset.
        omp_num_threads: threads per parallel region (``OMP_NUM_THREADS``), None where unset.
    """

    quant_emb: str | None = None
    quant_ec_emb: str | None = None
    quant_dense: str | None = None
    enable_aot: int | None = None
    input_tile: int | None = None
    input_tile_3_online: bool = False
    enable_trt: bool = False
    debug_trt: bool = False
    trt_max_seq_len: int | None = None
    trt_workspace_mib: int | None = None
    max_export_batch_size: int | None = None
    mixed_precision: str | None = None
    cudnn_allow_tf32: bool | None = None
    cuda_matmul_allow_tf32: bool | None = None
    predict_threads: int | None = None
    use_farm_hash: bool = False
    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    local_world_size: int = 1
    master_addr: str | None = None
    master_port: int | None = None
    agent_store: bool = False
    restart_count: int = 0
    s3_endpoint: str | None = None
    cache_home: Path = Path("~/.cache")
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
        enable_aot=_enable_aot(source),
        input_tile=_integer(source, "INPUT_TILE"),
        input_tile_3_online=_boolean(source, "INPUT_TILE_3_ONLINE"),
        enable_trt=_boolean(source, "ENABLE_TRT"),
        debug_trt=_boolean(source, "DEBUG_TRT"),
        trt_max_seq_len=_integer(source, "TRT_MAX_SEQ_LEN"),
        trt_workspace_mib=_integer(source, "TRT_WORKSPACE_MIB"),
        max_export_batch_size=_integer(source, "MAX_EXPORT_BATCH_SIZE") or _integer(source, "TRT_MAX_BATCH_SIZE"),
        mixed_precision=source.get("MIXED_PRECISION") or None,
        cudnn_allow_tf32=_optional(source, "CUDNN_ALLOW_TF32"),
        cuda_matmul_allow_tf32=_optional(source, "CUDA_MATMUL_ALLOW_TF32"),
        predict_threads=_integer(source, "RECINFER_PREDICT_THREADS"),
        use_farm_hash=_boolean(source, "USE_FARM_HASH_TO_BUCKETIZE"),
        rank=_integer(source, "RANK") or 0,
        world_size=_integer(source, "WORLD_SIZE") or 1,
        local_rank=_integer(source, "LOCAL_RANK") or 0,
        local_world_size=_integer(source, "LOCAL_WORLD_SIZE") or 1,
        master_addr=source.get("MASTER_ADDR") or None,
        master_port=_integer(source, "MASTER_PORT"),
        agent_store=_boolean(source, "TORCHELASTIC_USE_AGENT_STORE"),
        restart_count=_integer(source, "TORCHELASTIC_RESTART_COUNT") or 0,
        s3_endpoint=source.get("AWS_ENDPOINT_URL_S3") or source.get("AWS_ENDPOINT_URL") or None,
        cache_home=Path(source.get("XDG_CACHE_HOME") or "~/.cache"),
        omp_num_threads=_integer(source, "OMP_NUM_THREADS"),
    )


def _enable_aot(source: Mapping[str, str]) -> int | None:
    """``UNIFIED_AOT`` is an older name for 2."""
    number = _integer(source, "ENABLE_AOT")
    return 2 if number is None and _boolean(source, "UNIFIED_AOT") else number


def _integer(source: Mapping[str, str], name: str) -> int | None:
    text = source.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(
            f"environment variable {name}={text!r} is not a whole number of 0 or more",
            f"unset {name} or give it a number",
        )
    return int(text)


def _optional(source: Mapping[str, str], name: str) -> bool | None:
    return _boolean(source, name) if source.get(name, "").strip() else None


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


def hush_native_warnings() -> None:
    """Leaves out what torch's native code has to say about its own use; what the user has set wins.

    Works only before torch is imported.
    """
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def outlive_collectives() -> None:
    """Lets a process go on when another one is lost in the middle of a collective on GPUs; what the user has set wins.

    By default NCCL's watchdog aborts the process, before anybody can say who was lost. Works only before the process
    group is made.
    """
    os.environ.setdefault("TORCH_NCCL_ASYNC_ERROR_HANDLING", "2")
