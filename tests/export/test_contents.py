"""What is read out of a scripted file, against the model that it was made from."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from recinfer.errors import ModelError
from recinfer.export.contents import input_tensors, scripted_contents
from recinfer.export.quant_dense import quantize_dense
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from recinfer.export.script import script, trace
from recinfer.export.scripted_graph import ScriptedGraph
from recinfer.export.scripted_tables import HeldTable, row_bytes
from recinfer.export.table_names import declared_lookups, with_names
from recinfer.features.example import example_batch
from recinfer.main import inspect
from recinfer.main import inspecting as room
from tests.synthetic import GENRES, MOVIES, TAGS, USERS, config_of, model_of, write_export_of

Exported = Callable[[str], Path]


def held_by_kernels(model: torch.nn.Module) -> Iterator[tuple[str, int, int, str, int]]:
    """Name, rows, dim, type and bytes of the tables of a model for inference, as its kernels say."""
    # The collections keep their kernels in a plain list, where `modules()` does not see them.
    kernels = [each for module in model.modules() for each in getattr(module, "_emb_modules", [])]
    for kernel in kernels:
        weights = kernel.split_embedding_weights(split_scale_shifts=False)
        for (name, rows, dim, kind, _), (stored, _) in zip(kernel.embedding_specs, weights, strict=True):
            assert stored.size(0) == rows
            yield name, rows, dim, kind.name, stored.numel()


@pytest.mark.parametrize("table_type", TABLE_TYPES)
@pytest.mark.parametrize("model", ["deepfm", "multi_tower_din"])
def test_tables_are_those_of_the_kernels(model: str, table_type: str) -> None:
    config = config_of(model)
    if table_type == "INT2":
        for entry in config.feature_configs:
            for member in entry.sequence_feature.features:
                if member.id_feature.feature_name == "genres":
                    member.id_feature.embedding_dim = 8
    built, features = model_of(config)
    kind = TABLE_TYPES[table_type]
    inference = with_inference_tables(built, kind, kind)
    expected = sorted(held_by_kernels(inference))
    contents = scripted_contents(script(trace(inference, features)), declared_lookups(built))
    found = sorted((each.name, each.rows, each.dim, each.dtype, each.bytes) for each in contents.tables)
    assert found == expected and {dtype for *_, dtype, _ in found} == {table_type}


def test_shared_tables_pooling_and_lookups(exported: Exported) -> None:
    tables = {(each.name, each.pooling): each for each in inspect(exported("multi_tower_din")).tables}
    assert {key: (each.rows, each.dim, each.features) for key, each in tables.items()} == {
        ("user_id_emb", "sum"): (USERS, 8, 1),
        ("movie", "sum"): (MOVIES, 8, 1),
        ("genres_emb", "sum"): (GENRES, 8, 1),
        ("tags_emb", "sum"): (TAGS, 8, 1),
        ("age_emb", "sum"): (5, 8, 1),
        # The query and the sequence look into one table.
        ("movie", "none"): (MOVIES, 8, 2),
        ("history__genres_emb", "none"): (GENRES, 4, 1),
    }


def test_operators_are_those_of_the_graph_s_text(exported: Exported) -> None:
    model = torch.jit.load(str(exported("multi_tower_din") / "scripted_model.pt"))
    text = re.sub(r'value="[^"]*"', "", str(model.inlined_graph))
    written = Counter(name for name in re.findall(r"(?:= |  )([a-z_]+::\w+)\(", text) if not name.startswith("prim::"))
    written += Counter(name for name in re.findall(r"= ([a-z_]+::\w+)\[", text) if not name.startswith("prim::"))
    operators = inspect(exported("multi_tower_din")).operators
    assert operators == dict(written)
    assert list(operators.values()) == sorted(operators.values(), reverse=True)
    lookup = "fbgemm::int_nbit_split_embedding_codegen_lookup_function"
    assert operators[lookup] == 3 and not any(name.startswith("prim::") for name in operators)


@pytest.mark.parametrize("model", ["wide_and_deep", "multi_tower_din"])
def test_inputs_are_what_the_model_takes(exported: Exported, model: str) -> None:
    contents = inspect(exported(model))
    _, features = model_of(config_of(model))
    rows, steps = 3, 2
    batch = example_batch(features, rows, steps=steps)
    assert {each.name for each in contents.inputs} == batch.keys()
    for each in contents.inputs:
        tensor = batch[each.name]
        assert f"torch.{each.dtype}" == str(tensor.dtype), each
        assert len(each.shape) == tensor.ndim and each.shape[1:] == list(tensor.shape[1:]), each
        sizes = {"rows": rows, "steps": rows * steps, "ids": tensor.size(0)}
        assert sizes[str(each.shape[0])] == tensor.size(0), each


def test_inputs_that_belong_to_no_feature() -> None:
    (size, other) = input_tensors(["batch_size", "mystery"], [])
    assert (size.dtype, size.shape) == ("int64", []) and (other.dtype, other.name) == ("", "mystery")


def test_the_manifest_speaks_for_the_rest(exported: Exported) -> None:
    folder = exported("deepfm")
    manifest = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))
    contents = inspect(folder)
    for name in ("kind", "created_by", "created_at", "device", "versions", "parity", "folded", "outputs"):
        assert getattr(contents, name) == manifest[name], name
    assert contents.columns == manifest["inputs"] and contents.checked == len(manifest["sha256"]) == 5
    assert contents.files == {path.name: len(path.read_bytes()) for path in folder.iterdir()}
    assert contents.switches == {"SPARSE_INT64": "1"} and contents.fallbacks == contents.notes == []
    assert contents.to_json()["bytes"] == sum(contents.files.values())


def test_layers_are_counted_without_tables(exported: Exported) -> None:
    built, _ = model_of(config_of("multi_tower_din"))
    dense = [each for name, each in built.named_parameters() if "embedding_bags" not in name]
    dense = [each for each in dense if each.shape not in ((MOVIES, 8), (GENRES, 4))]
    contents = inspect(exported("multi_tower_din"))
    assert contents.parameters == sum(each.numel() for each in dense)
    assert contents.parameter_bytes == 4 * contents.parameters


def test_int8_layers_are_counted_too() -> None:
    config = config_of(
        """feature_groups { group_name: "d" group_type: DEEP feature_names: "profile" feature_names: "user_id" }
        multi_tower { towers { input: "d" mlp { hidden_units: [512, 64] } } final { hidden_units: 8 } }""",
        groups=[],
    )
    built, features = model_of(config)
    graph = trace(with_inference_tables(built, torch.float, torch.float), features)
    assert len(quantize_dense(graph)) == 2
    contents = scripted_contents(script(graph), [])
    # 3 + 8 columns; two layers of INT8 with float biases and scales, then floats.
    packed, floats = 11 * 512 + 512 * 64, 2 * (512 + 64) + (64 + 1) * 8 + (8 + 1)
    assert (contents.parameters, contents.parameter_bytes) == (packed + floats, packed + 4 * floats)
    assert contents.operators["aten::_int_mm"] == 2


FOLDABLE = """
feature_configs { id_feature { feature_name: "user_id" embedding_dim: 8 num_buckets: 50 } }
feature_configs { id_feature { feature_name: "movie_id" embedding_dim: 8 num_buckets: 40 } }
feature_configs { raw_feature { feature_name: "rating" fg_encoded_default_value: "3.5" } }
"""


def test_folded_tables_are_products(tmp_path: Path) -> None:
    from recinfer.export.exporter import ExportJob, write_export
    from tests.synthetic import make_table

    group = 'group_name: "deep" group_type: DEEP feature_names: "user_id" feature_names: "movie_id"'
    config = config_of(
        f"""feature_groups {{ {group} feature_names: "rating" }}
        multi_tower {{ towers {{ input: "deep" mlp {{ hidden_units: 16 }} }} final {{ hidden_units: 4 }} }}""",
        groups=[],
        features=FOLDABLE,
    )
    built, features = model_of(config)
    rows = lambda: (make_table(50, 1), "made up")  # noqa: E731
    write_export(ExportJob(config, built, features, "", "FP32", "FP32", rows, 1e-4), tmp_path / "export")
    contents = inspect(tmp_path / "export")
    assert contents.folded["features"] == ["user_id", "movie_id"]
    (products,) = [each for each in contents.tables if each.kind == "products"]
    # A row of each table, and one for the bias; as wide as the layer.
    assert (products.rows, products.dim, products.dtype) == (50 + 40 + 1, 16, "FP32")
    assert products.bytes == (50 + 40 + 1) * 16 * 4 and products.name.startswith("folded_0.")


def test_an_export_of_the_reference(shared: Path) -> None:
    folder = shared / "exports" / "deepfm_criteo"
    contents = inspect(folder)
    assert contents.kind == "torchscript" and contents.created_by == "" and contents.checked == 0
    assert contents.outputs == {"logits": "", "probs": ""} and len(contents.columns) == 39
    assert "no recinfer.json" in contents.notes[0]
    assert len(contents.inputs) == 13 + 2 * 26 and len(contents.tables) == 52
    named = {each.name: each for each in contents.tables}
    config = (folder / "pipeline.config").read_text(encoding="utf-8")
    sizes = re.findall(r'feature_name: "(cat_\d+)".*?num_buckets: (\d+)', config, re.DOTALL)
    assert len(sizes) == 26
    for name, rows in sizes:
        for suffix, dim in (("_emb", 16), ("_emb_wide", 4)):
            table = named[name + suffix]
            assert (table.rows, table.dim, table.dtype) == (int(rows), dim, "INT8"), table
            assert table.bytes == int(rows) * {16: 32, 4: 16}[dim]


def test_a_config_that_does_not_run_here_costs_names_only(exported: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exported("multi_tower_din"), folder)
    (folder / "recinfer.json").unlink()
    (folder / "pipeline.config").write_text("nonsense {", encoding="utf-8")
    contents = inspect(folder)
    expected = inspect(exported("multi_tower_din"))
    assert any("names of tables may be missing" in note for note in contents.notes)
    shapes = [[(each.rows, each.dim, each.dtype) for each in found.tables] for found in (contents, expected)]
    assert shapes[0] == shapes[1] and [each.name for each in contents.inputs] == [each.name for each in expected.inputs]


def test_nothing_is_loaded_before_it_is_checked(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loaded(*arguments: Any, **settings: Any) -> None:
        raise AssertionError("loaded")

    folder = tmp_path / "export"
    shutil.copytree(exported("deepfm"), folder)
    monkeypatch.setattr(torch.jit, "load", loaded)
    with pytest.raises(AssertionError, match="loaded"):
        inspect(folder)
    (folder / "scripted_model.pt").write_bytes(b"changed")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        inspect(folder)


def test_folders_that_are_no_exports(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no export"):
        inspect(tmp_path)
    (tmp_path / "scripted_model.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="does not load"):
        inspect(tmp_path)
    (tmp_path / "model_acc.json").write_text("{", encoding="utf-8")
    (tmp_path / "scripted_model.pt").rename(tmp_path / "aoti_model.pt2")
    with pytest.raises(ModelError, match=r"model_acc\.json is damaged"):
        inspect(tmp_path)
    (tmp_path / "model_acc.json").unlink()
    contents = inspect(tmp_path)
    assert contents.kind == "aot" and contents.tables == [] and room.CONFIG in contents.notes[1]
    assert "there is no scripted file" in contents.notes[-1]


def table(rows: int, dim: int, features: int = 1, pooling: str = "sum") -> HeldTable:
    return HeldTable("", rows, dim, "FP32", 0, pooling, features)


def names(*arguments: Any) -> list[list[str]]:
    return [[each.name for each in lookup] for lookup in with_names(*arguments)]


def test_names_are_given_only_where_there_is_no_doubt() -> None:
    declared = [("sum", [("a", 5, 8), ("b", 5, 8)]), ("none", [("a", 5, 8)])]
    in_order, alone = [table(5, 8), table(5, 8)], [table(5, 8, pooling="none")]
    assert names([in_order, alone], declared) == [["a", "b"], ["a"]]
    # Two lookups of the same shapes: either could be either.
    assert names([in_order, in_order], declared) == [["", ""], ["", ""]]
    # Shapes that no lookup of the config has, but one table has.
    assert names([[table(5, 8), table(7, 8)]], [*declared, ("sum", [("c", 7, 8)])]) == [["", "c"]]
    assert names([in_order], []) == [["", ""]]


def test_names_that_the_file_has_win() -> None:
    keys = ["x@b", "y@b", "z@a"]
    assert names([[table(5, 8, 2), table(5, 8)]], [("sum", [("a", 5, 8), ("b", 5, 8)])], [keys]) == [["b", "a"]]
    assert names([[table(5, 8, 2)], [table(5, 8)]], [], [["other"], keys]) == [["b"], ["a"]]
    # Features of one table under two names cannot be.
    assert names([[table(5, 8, 3)]], [], [keys]) == [[""]]
    # Keys that fit two runs of lookups name neither.
    assert names([[table(5, 8, 3)], [table(5, 8, 3)]], [], [keys]) == [[""], [""]]


def test_row_bytes() -> None:
    """Values, 2 x 2 bytes of scale and offset where they are integers, filled up to 16."""
    assert [row_bytes(16, kind, 16) for kind in range(5)] == [64, 32, 32, 16, 16]
    assert [row_bytes(17, kind, 1) for kind in range(5)] == [68, 34, 21, 13, 9]


class Plain(torch.nn.Module):
    """Embeddings that torch looks up itself, one of them twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Embedding(6, 3)
        self.bags = torch.nn.EmbeddingBag(4, 2, mode="sum").half()

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        ids = data["ids"]
        first = torch.embedding(self.one.weight, ids) + torch.embedding(self.one.weight, data["others"].to(torch.int64))
        return {"out": first, "bags": torch.embedding_bag(self.bags.weight, ids, data["offsets"])[0]}


def test_tables_of_torch_itself() -> None:
    model = torch.jit.script(Plain().eval())
    contents = scripted_contents(model, [])
    assert [(each.name, each.rows, each.dim, each.dtype, each.bytes, each.features) for each in contents.tables] == [
        ("one.weight", 6, 3, "FP32", 72, 2),
        ("bags.weight", 4, 2, "FP16", 16, 1),
    ]
    assert contents.parameters == 0 and contents.output_keys == ["out", "bags"]
    assert contents.input_keys == ["ids", "others", "offsets"]
    assert ScriptedGraph(model).operators()["aten::embedding"] == 2


def test_compiled_exports_show_their_scripted_part(tmp_path: Path) -> None:
    folder = write_export_of("deepfm", tmp_path / "export")
    manifest = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))
    (folder / "scripted_model.pt").rename(folder / "scripted_sparse_model.pt")
    hashes = manifest["sha256"]
    hashes["scripted_sparse_model.pt"] = hashes.pop("scripted_model.pt")
    for name, content in (("aoti_model.pt2", b""), ("compiled.json", b'{"inputs": [], "outputs": []}')):
        (folder / name).write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    changes = {"kind": "aot", "cpu_features": ["avx2"], "versions": {"torch": "1.0"}}
    (folder / "recinfer.json").write_text(json.dumps(manifest | changes), encoding="utf-8")
    contents = inspect(folder)
    assert contents.kind == "aot" and len(contents.tables) == 10
    assert contents.operators["fbgemm::int_nbit_split_embedding_codegen_lookup_function"] > 0
    assert contents.needs == {"machine": manifest["machine"], "cpu_features": ["avx2"]}
    assert contents.differences[0].startswith("torch: it asks for 1.0")
    assert any("scripted_sparse_model.pt" in note for note in contents.notes)
    for kind, says in (("trt", r"trt_model\.pt2 is missing"), ("dreamt", "an export of kind 'dreamt'")):
        (folder / "recinfer.json").write_text(json.dumps(manifest | changes | {"kind": kind}), encoding="utf-8")
        with pytest.raises(ModelError, match=says):
            inspect(folder)
