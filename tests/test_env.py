"""What the process reads from its environment, and the little that it sets."""

from __future__ import annotations

import os

import pytest

from recinfer.env import Environment, limit_library_threads, read_environment
from recinfer.errors import UsageError


def test_reads_typed_values() -> None:
    variables = {"QUANT_EMB": "INT8", "RECINFER_PREDICT_THREADS": " 3 ", "WORLD_SIZE": "2", "RANK": "1", "OTHER": "x"}
    assert read_environment(variables) == Environment(quant_emb="INT8", predict_threads=3, world_size=2, rank=1)


def test_reads_what_exports_are_compiled_for() -> None:
    variables = {"ENABLE_TRT": "1", "TRT_MAX_BATCH_SIZE": "256", "TRT_MAX_SEQ_LEN": "50", "CUDNN_ALLOW_TF32": "0"}
    wanted = Environment(enable_trt=True, max_export_batch_size=256, trt_max_seq_len=50, cudnn_allow_tf32=False)
    assert read_environment(variables) == wanted
    assert read_environment({**variables, "MAX_EXPORT_BATCH_SIZE": "64"}).max_export_batch_size == 64


@pytest.mark.parametrize(
    ("variables", "number"),
    [
        ({"UNIFIED_AOT": "1"}, 2),
        ({"UNIFIED_AOT": "0"}, None),
        ({"ENABLE_AOT": "1", "UNIFIED_AOT": "1"}, 1),
        ({"ENABLE_AOT": "2"}, 2),
    ],
)
def test_the_older_name_of_one_compiled_file(variables: dict[str, str], number: int | None) -> None:
    assert read_environment(variables).enable_aot == number


def test_empty_is_unset() -> None:
    assert read_environment({"QUANT_EMB": "", "RECINFER_PREDICT_THREADS": ""}) == Environment()


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_reads_booleans(text: str, value: bool) -> None:
    assert read_environment({"USE_FARM_HASH_TO_BUCKETIZE": text}).use_farm_hash is value


@pytest.mark.parametrize(
    ("name", "text"), [("RECINFER_PREDICT_THREADS", "many"), ("RANK", "-1"), ("USE_FARM_HASH_TO_BUCKETIZE", "perhaps")]
)
def test_refuses_other_values(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=name):
        read_environment({name: text})


def test_library_threads_are_limited_unless_the_user_has_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    # Set first, so that it is put back to what it was.
    monkeypatch.setenv("MKL_NUM_THREADS", "")
    monkeypatch.delenv("MKL_NUM_THREADS")
    limit_library_threads(2)
    assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("5", "2")


def test_what_torchrun_sets() -> None:
    variables = {"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "first", "MASTER_PORT": "29500"}
    found = read_environment({**variables, "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"})
    assert (found.local_rank, found.local_world_size, found.master_addr, found.master_port) == (1, 4, "first", 29500)
    assert found.agent_store and found.restart_count == 2
    # Without torchrun nobody has to meet.
    assert (read_environment({}).master_addr, read_environment({}).local_world_size) == (None, 1)
