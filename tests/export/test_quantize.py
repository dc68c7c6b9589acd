"""Coarser tables: how far scores stray, and what a type cannot hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from recinfer.errors import UsageError
from recinfer.export import exporter, quantize
from recinfer.export.batched import tables_of, with_batched_tables
from recinfer.export.parity import BOUNDS, default_bound
from recinfer.export.quantize import TABLE_TYPES, table_type_name, with_inference_tables
from recinfer.features.example import ragged_batch
from recinfer.predict.export_scorer import ExportScorer
from recinfer.predict.model_scorer import ModelScorer
from tests.export.test_scripted import largest
from tests.synthetic import FEATURES, MODELS, MOVIES, config_of, make_table, model_of, write_export_of


def quantized_gap(model: str, table_type: str, folder: Path) -> float:
    """Exports with tables of a type, and says how far its probabilities stray from the model's."""
    # Rows of all types fill whole 16-bit words where dimensions are multiples of 8.
    config = config_of(model, features=FEATURES.replace("embedding_dim: 4", "embedding_dim: 8"))
    built, features = model_of(config)
    rows = lambda: (make_table(100, 5), "made up")  # noqa: E731
    bound = BOUNDS[table_type]
    exporter.write_export(exporter.ExportJob(config, built, features, "", table_type, table_type, rows, bound), folder)
    switches = json.loads((folder / "model_acc.json").read_text(encoding="utf-8"))
    expected = {} if table_type == "FP32" else {"QUANT_EMB": table_type, "QUANT_EC_EMB": table_type}
    assert switches == {"SPARSE_INT64": "1", **expected}
    table = make_table(300, 9)
    eager = ModelScorer(built, features, "", None).score(table)
    return largest(eager.select(["probs"]), ExportScorer(folder, "").score(table).select(["probs"]))


@pytest.mark.parametrize("model", sorted(MODELS.keys() - {"multi_tower_din"}))
def test_int8_tables_stay_within_their_bound(tmp_path: Path, model: str) -> None:
    assert 0 < quantized_gap(model, "INT8", tmp_path / "export") <= BOUNDS["INT8"]


def test_all_table_types_stay_within_their_bounds_and_coarser_ones_stray_further(tmp_path: Path) -> None:
    gaps = {name: quantized_gap("multi_tower_din", name, tmp_path / name) for name in BOUNDS}
    assert all(0 < gap <= BOUNDS[name] for name, gap in gaps.items() if name != "FP32")
    assert gaps["FP32"] <= 1e-5
    assert list(gaps) == ["FP32", "FP16", "INT8", "INT4", "INT2"] and list(gaps.values()) == sorted(gaps.values())


@pytest.mark.parametrize(
    ("table_type", "row_bytes"), [("FP32", 32), ("FP16", 16), ("INT8", 12), ("INT4", 8), ("INT2", 8)]
)
def test_rows_on_a_processor_are_padded_to_four_bytes_and_score_as_torchrec_pads_them(
    table_type: str, row_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 8 numbers, and for whole numbers a scale and an offset of two bytes each.
    model, features = model_of(config_of("wide_and_deep"))
    kind, batch = TABLE_TYPES[table_type], ragged_batch(features, 60, seed=4)
    close = with_inference_tables(model, kind, kind)
    monkeypatch.setattr(quantize, "CPU_ROW_ALIGNMENT", 16)
    wide = with_inference_tables(model, kind, kind)
    with torch.no_grad():
        assert torch.equal(close(batch)["logits"], wide(batch)["logits"])
    held = tables_of(with_batched_tables(model, kind, kind))
    monkeypatch.undo()
    assert {each.bytes for each in tables_of(with_batched_tables(model, kind, kind)) if each.name == "movie"} == {
        MOVIES * row_bytes
    }
    assert {each.bytes for each in held if each.name == "movie"} == {MOVIES * -(-row_bytes // 16) * 16}


def test_tables_that_a_type_cannot_hold_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"INT2 needs embedding dimensions.*history__genres_emb \(4\)"):
        write_export_of("multi_tower_din", tmp_path / "export", quant_ec_emb="INT2")
    assert list(tmp_path.iterdir()) == []


def test_table_types_by_name() -> None:
    assert [table_type_name(name) for name in ("", "0", "off", "fp16", "INT8")] == ["FP32"] * 3 + ["FP16", "INT8"]
    with pytest.raises(UsageError, match=r"'INT3' is unknown(.|\n)*FP32, FP16, INT8"):
        table_type_name("INT3")
    assert TABLE_TYPES.keys() == BOUNDS.keys()
    assert default_bound(["FP32", "INT4"]) == BOUNDS["INT4"]
