"""Models over batched tables and plain operators score as before, for every model and every size of its inputs."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.config.load import load_pipeline_config
from recinfer.errors import ModelError
from recinfer.export.batched import tables_of, with_batched_tables
from recinfer.export.contents import scripted_contents
from recinfer.export.operator_shim import lookup_shims
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import script, trace
from recinfer.export.scripted_tables import HeldTable
from recinfer.export.split import with_arguments
from recinfer.export.unified import write_unified
from recinfer.export.whole_steps import with_plain_steps
from recinfer.features.base import Feature
from recinfer.features.example import ragged_batch
from recinfer.models import Model
from recinfer.nn.batched_tables import LOOKUP
from recinfer.predict.compiled_inputs import INTERFACE, read_interface
from recinfer.predict.compiled_scorer import Compiled
from recinfer.predict.device import CPU, Place
from recinfer.predict.operators import load_operators
from tests.export.other_device import OTHER, run_elsewhere
from tests.synthetic import MODELS, config_of, model_of

CONFIGS = sorted(Path(__file__).parents[2].glob("configs/*/*.config"))
SELF_ATTENTION = Path(__file__).parents[2] / "configs/taobao/ple.config"
SIZES = ((1, 4), (1, 0), (6, 0), (17, 9), (5, 1))


def traced(model: Model, features: list[Feature], kind: torch.dtype = torch.float) -> torch.fx.GraphModule:
    return trace(with_batched_tables(model, kind, kind), features)


def check(config: Any) -> None:
    model, features = model_of(config)
    graph = traced(model, features)
    with_plain_steps(graph, features)
    whole, keys = with_arguments(graph)
    # Of operators that are not torch's, there is the one that a shim is made for.
    called = {str(node.target) for node in whole.graph.nodes if node.op == "call_function"}
    assert {name for name in called if "fbgemm" in name or "jagged" in name} == {str(LOOKUP)}
    for rows, longest in SIZES:
        batch = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        with torch.no_grad():
            wanted, got = model(batch), whole(*(batch[key] for key in keys))
        assert list(wanted) == list(got)
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)
    elsewhere = run_elsewhere(whole, [batch[key] for key in keys])
    assert {each.device for each in elsewhere.values()} == {OTHER}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_model_needs_plain_operators_only(path: Path) -> None:
    check(load_pipeline_config(path))


@pytest.mark.parametrize("model", MODELS)
def test_all_kinds_of_features(model: str) -> None:
    check(config_of(model))


@pytest.mark.parametrize("table_type", ["FP16", "INT8", "INT4", "INT2"])
def test_tables_are_those_of_the_scripted_kinds(table_type: str) -> None:
    model, features = model_of(config_of("wide_and_deep"))
    kind = TABLE_TYPES[table_type]
    batch = ragged_batch(features, 200, seed=3)
    with torch.no_grad():
        batched, keyed = (
            make(model, kind, kind)(batch)["logits"] for make in (with_batched_tables, with_inference_tables)
        )
        exact = model(batch)["logits"]
    assert torch.equal(batched, keyed) and not torch.equal(batched, exact)


@pytest.mark.parametrize("table_type", ["FP32", "FP16", "INT8", "INT4"])
def test_tables_are_told_as_a_scripted_file_tells_them(table_type: str) -> None:
    model, features = model_of(config_of("multi_tower_din"))
    kind = TABLE_TYPES[table_type]
    read = scripted_contents(script(trace(with_inference_tables(model, kind, kind), features)), []).tables
    told = tables_of(with_batched_tables(model, kind, kind))
    assert {each.name for each in told} >= {"movie", "user_id_emb", "history__genres_emb"}

    def facts(tables: list[HeldTable]) -> list[Any]:
        return sorted((each.rows, each.dim, each.dtype, each.bytes, each.pooling, each.features) for each in tables)

    assert facts(told) == facts(read)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_shim_takes_what_the_operator_takes(device: str) -> None:
    ((operator, (function,)),) = lookup_shims(device).items()
    head = function.partition("{")[0]
    assert head.startswith(f"AOTITorchError aoti_torch_{device}_int_nbit_split_embedding_codegen_lookup_function(")
    # Each argument, and where the result goes.
    assert head.count(",") == len(operator._schema.arguments) and head.rstrip().endswith("* result)")
    # Of all operators it must be this one: the others' arguments would be read as something else.
    assert f'"{operator._schema.name}", ""' in function


@pytest.mark.parametrize("outside", [-1, 10**6])
def test_an_id_outside_its_table_is_an_error(outside: int) -> None:
    model, features = model_of(config_of("multi_tower_din"))
    batch = ragged_batch(features, 4, longest=3, seed=1)
    batch["history__movie_id.values"][-1] = outside
    with torch.no_grad(), pytest.raises(RuntimeError, match="an id is outside its table"):
        with_batched_tables(model, torch.float, torch.float)(batch)


def test_self_attention_is_exported_for_sequences_of_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It pads to the longest sequence, a size that depends on values.
    programs: list[torch.export.ExportedProgram] = []

    def compile_nothing(program: torch.export.ExportedProgram, package_path: str) -> None:
        programs.append(program)
        with zipfile.ZipFile(package_path, "w") as package:
            package.writestr("model.so", "libstdc++.so.6")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", compile_nothing)
    model, features = model_of(load_pipeline_config(SELF_ATTENTION))
    write_unified(traced(model, features), features, tmp_path)
    names = [each.name for each in read_interface(tmp_path / INTERFACE).inputs]
    for rows, longest in SIZES:
        batch = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        with torch.no_grad():
            wanted, got = model(batch), programs[0].module()(*(batch[name] for name in names))
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_self_attention_compiles_too(tmp_path: Path) -> None:
    model, features = model_of(load_pipeline_config(SELF_ATTENTION))
    write_unified(traced(model, features), features, tmp_path)
    load_operators()
    compiled = Compiled(tmp_path, Place(CPU))
    for rows, longest in SIZES:
        batch = ragged_batch(features, rows, longest=longest, seed=rows + longest)
        with torch.no_grad():
            wanted, got = model(batch), compiled.run(batch)
        for name, scores in wanted.items():
            torch.testing.assert_close(got[name], scores, rtol=1e-4, atol=1e-5)


def test_what_does_not_compile_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **settings: Any) -> None:
        raise RuntimeError("no such operator\nand a long explanation")

    monkeypatch.setattr(torch._inductor, "aoti_compile_and_package", refuse)
    model, features = model_of(config_of("wide_and_deep"))
    with pytest.raises(ModelError, match="the model does not compile: no such operator\n  hint"):
        write_unified(traced(model, features), features, tmp_path)
