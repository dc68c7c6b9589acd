"""Exports with TensorRT: profiles, parts, folder and loader with a stand-in for the compiler; the rest on a GPU."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from recinfer import load_scorer
from recinfer.env import Environment
from recinfer.errors import ModelError, UsageError
from recinfer.export import artifact, kinds
from recinfer.export.compile_options import CompileOptions, compile_options
from recinfer.export.kinds import KINDS, Kind, kind_name
from recinfer.export.sizes import size_ranges
from recinfer.export.tensorrt import write_trt
from recinfer.export.tensorrt_compiler import input_profile
from recinfer.predict import tensorrt_runtime
from recinfer.predict.compiled_inputs import CompiledInput, Interface, read_interface
from recinfer.predict.model_scorer import ModelScorer
from recinfer.predict.open_export import OPENERS, open_export
from recinfer.predict.tensorrt_scorer import TensorRTScorer
from tests.export.tensorrt_stand_in import StandIn, StandInScorer
from tests.synthetic import STEPS, config_of, make_table, model_of, write_export_of

ROWS = 32
GPU = torch.device("cuda", 0)
TENSORRT = KINDS["trt"]
ON_GPU = CompileOptions(device=GPU)
TABLES = {
    "random": make_table(400, 1),
    "only nulls": make_table(20, 3, nulls=1.0),
    "full length": make_table(50, 4, nulls=0.0),
    "one row": make_table(1, 5, nulls=0.0),
    "one empty row": make_table(1, 6, nulls=1.0),
    "no rows": make_table(0, 7),
}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    """Puts the stand-in in TensorRT's place, on a machine that says it has a GPU."""
    compiler, patched = StandIn(), pytest.MonkeyPatch()
    kind = Kind(
        partial(write_trt, compiler=compiler), switches={"ENABLE_TRT": "1"}, devices=("cuda",), takes_options=True
    )
    patched.setitem(kinds.KINDS, "trt", kind)  # type: ignore[arg-type]
    patched.setitem(OPENERS, "trt", lambda folder, fingerprint, device: StandInScorer(folder, fingerprint))
    patched.setattr(artifact, "gpu_architecture", lambda device: "sm_90")
    yield compiler
    patched.undo()


@pytest.fixture(scope="module")
def exported(stand_in: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = CompileOptions(most_rows=ROWS, debug=True, device=GPU)
    folder = tmp_path_factory.mktemp("trt") / "export"
    return write_export_of("multi_tower_din", folder, kind="trt", compile_options=options)


def probs(table: pa.Table) -> np.ndarray:
    return np.array(table["probs"], np.float64)


def test_scores_equal_the_model_s_at_every_size(exported: Path) -> None:
    config = config_of("multi_tower_din")
    eager, scorer = ModelScorer(*model_of(config), "eager", config.data_config), StandInScorer(exported, "")
    for name, table in TABLES.items():
        left, right = probs(eager.score(table)), probs(scorer.score(table))
        assert left.shape == right.shape and np.abs(left - right).max(initial=0) <= 1e-5, name


def test_the_program_has_the_profile_s_ranges(stand_in: StandIn, exported: Path) -> None:
    program, interface, example, _ = stand_in.seen[0]
    assert interface == read_interface(exported / "compiled.json")
    assert interface.most_rows == ROWS
    assert set(interface.sizes.values()) == {(2, ROWS), (3, ROWS + 1), (2, ROWS * STEPS)}
    held = {(int(each.lower), int(each.upper)) for each in program.range_constraints.values()}
    assert {(2, ROWS), (2, ROWS * STEPS)} <= held
    # No two sizes of the example agree, so that torch.export cannot take one for another.
    sizes = interface.sizes_of(example)
    assert len(set(sizes.values())) == len(sizes) == 3


def test_the_folder_says_what_it_is(exported: Path) -> None:
    manifest = json.loads((exported / "recinfer.json").read_text())
    assert (manifest["kind"], manifest["device"], manifest["gpu"]) == ("trt", "cuda", "sm_90")
    files = {
        "scripted_sparse_model.pt",
        "trt_model.pt2",
        "compiled.json",
        "gpu.json",
        "gm_sparse.code",
        "gm_dense.code",
    }
    assert files <= set(manifest["sha256"])
    assert json.loads((exported / "model_acc.json").read_text())["ENABLE_TRT"] == "1"
    assert json.loads((exported / "gpu.json").read_text()) == {
        "cudnn_allow_tf32": True,
        "cuda_matmul_allow_tf32": False,
    }
    times = json.loads((exported / "trt_timing.json").read_text())
    assert set(times) == {"torch_ms", "tensorrt_ms"} and min(times.values()) > 0


def test_a_machine_without_a_gpu_is_told_so(exported: Path) -> None:
    with pytest.raises(ModelError, match=r"GPU: it asks for sm_90, here is none"):
        open_export(exported, lambda path: "")


def test_a_program_that_is_added_is_refused(tmp_path: Path) -> None:
    folder = write_export_of("multi_tower", tmp_path / "export")
    (folder / "trt_model.pt2").write_bytes(b"added")
    with pytest.raises(ModelError, match=r"does not list trt_model\.pt2"):
        load_scorer(folder)


def test_a_damaged_engine_is_refused(exported: Path, tmp_path: Path) -> None:
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "trt_model.pt2").write_bytes(b"PK nothing")
    with pytest.raises(ModelError, match=r"trt_model\.pt2 does not load"):
        StandInScorer(tmp_path, "")


def test_a_folder_without_a_manifest_needs_tensorrt_all_the_same(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt_runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="torch-tensorrt is not installed"):
        TensorRTScorer(exported, "")


def test_a_row_that_is_too_long_is_an_error(exported: Path) -> None:
    scorer = StandInScorer(exported, "")
    longest = ROWS * STEPS + 1
    table = make_table(60, 4, nulls=0.0, longest=longest)
    table = table.filter(pc.equal(pc.list_value_length(table["history__movie_id"]), longest)).slice(0, 1)
    assert table.num_rows == 1
    with pytest.raises(
        ModelError, match=rf"has more steps than .*, which is {ROWS * STEPS}\n  hint: .*--trt-max-seq-len"
    ):
        scorer.score(table)


def test_sizes_follow_the_batch_the_longest_sequence_or_all_steps() -> None:
    sizes = {"rows": (7, 13), "offsets": (8, 14), "width": (9, 6), "steps": (30, 60)}
    assert size_ranges(sizes, (7, 13), 9, most_rows=100, most_steps=50) == {
        "rows": (2, 100),
        "offsets": (3, 101),
        "width": (2, 50),
        "steps": (2, 5000),
    }


def test_each_input_has_its_profile() -> None:
    free = CompiledInput("x", "float32", ("n0", 3))
    interface = Interface((free,), ("y",), 64, {"n0": (2, 64)})
    shapes = input_profile(free, interface, torch.zeros(16, 3))
    assert shapes == {"min_shape": (2, 3), "opt_shape": (16, 3), "max_shape": (64, 3)}
    assert input_profile(CompiledInput("x", "float32", (4, 3)), interface, torch.zeros(4, 3)) == {"shape": (4, 3)}


def test_what_is_missing_is_said_before_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> tuple[pa.Table, str]:
        raise AssertionError("rows are read only after that")

    monkeypatch.setitem(kinds.KINDS, "trt", TENSORRT)  # type: ignore[arg-type]
    monkeypatch.setattr(tensorrt_runtime.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"torch-tensorrt is not installed(.|\n)*recinfer\[gpu\]"):
        write_export_of("multi_tower", tmp_path / "export", kind="trt", parity_rows=read)
    monkeypatch.setattr(tensorrt_runtime.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="needs an NVIDIA GPU"):
        tensorrt_runtime.load_tensorrt()


def test_libraries_that_do_not_load_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch_tensorrt.py").write_text("raise Exception('libnvinfer is gone')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(ModelError, match="does not load: libnvinfer is gone"):
        tensorrt_runtime.load_tensorrt()


def test_flags_and_the_environment_name_the_kind() -> None:
    assert kind_name("trt", Environment()) == kind_name(None, Environment(enable_trt=True)) == "trt"
    assert kind_name("aot", Environment(enable_trt=True)) == "aot"
    with pytest.raises(UsageError, match="ENABLE_TRT and ENABLE_AOT"):
        kind_name(None, Environment(enable_trt=True, enable_aot=1))


def test_options_come_from_flags_then_the_environment_then_the_config() -> None:
    config = config_of("deepfm").export_config
    assert compile_options(Environment(), config) == CompileOptions()
    given = Environment(
        max_export_batch_size=512, trt_max_seq_len=70, trt_workspace_mib=256, debug_trt=True, cudnn_allow_tf32=False
    )
    assert compile_options(given, config) == CompileOptions(512, 70, 256, cudnn_tf32=False, debug=True)
    flags = {"max_batch_size": 64, "trt_max_seq_len": 9, "trt_workspace_mib": 0, "cudnn_allow_tf32": True}
    assert compile_options(given, config, **flags) == CompileOptions(64, 9, 0, debug=True)
    config.cuda_matmul_allow_tf32 = True
    assert compile_options(Environment(), config).matmul_tf32
    assert not compile_options(Environment(cuda_matmul_allow_tf32=False), config).matmul_tf32
    with pytest.raises(UsageError, match="cannot be 4 rows"):
        compile_options(Environment(), config, max_batch_size=4)


def test_sequences_are_as_long_as_the_features_say() -> None:
    _, features = model_of(config_of("multi_tower_din"))
    assert CompileOptions().steps(features) == STEPS
    assert CompileOptions(most_steps=50).steps(features) == 50
    assert CompileOptions().steps([each for each in features if not each.is_sequence]) == 100


def test_quantized_layers_do_not_go_to_a_gpu(stand_in: StandIn, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="INT8 run on processors alone"):
        write_export_of("multi_tower", tmp_path / "export", kind="trt", quant_dense="int8", compile_options=ON_GPU)


def test_half_precision_is_in_the_program(stand_in: StandIn, tmp_path: Path) -> None:
    write_export_of(
        "deepfm", tmp_path / "export", kind="trt", mixed_precision="FP16", parity_bound=5e-3, compile_options=ON_GPU
    )
    types = {str(each.meta["val"].dtype) for each in stand_in.seen[-1][0].graph.nodes if "linear" in each.name}
    assert types == {"torch.float16"}


@pytest.mark.gpu
@pytest.mark.skipif(importlib.util.find_spec("torch_tensorrt") is None, reason="torch-tensorrt is not installed")
@pytest.mark.parametrize("model", ["deepfm", "multi_tower_din"])
@pytest.mark.parametrize(("precision", "bound"), [("", 1e-4), ("FP16", 5e-3)])
def test_engines_score_as_the_model(tmp_path: Path, model: str, precision: str, bound: float) -> None:
    options = CompileOptions(most_rows=256, device=GPU)
    folder = write_export_of(
        model, tmp_path / "export", kind="trt", compile_options=options, mixed_precision=precision, parity_bound=bound
    )
    config = config_of(model)
    eager, scorer = ModelScorer(*model_of(config), "eager", config.data_config), load_scorer(folder)
    for name, table in TABLES.items():
        left, right = probs(eager.score(table)), probs(scorer.score(table))
        assert np.abs(left - right).max(initial=0) <= bound, name
