"""The reference's own scores, from its configs, weights and inputs, reproduced to 1e-5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recinfer import load_scorer
from recinfer.export.quantize import with_inference_tables
from recinfer.export.script import script, trace
from recinfer.nn import jagged
from recinfer.predict.model_scorer import ModelScorer

GOLDENS = [
    "deepfm_criteo",
    "wide_and_deep_criteo",
    "multi_tower_taobao",
    "multi_tower_din_taobao",
    "multi_tower_din_taobao_v1",
    "multi_tower_din_mock",
]


def load(folder: Path) -> tuple[ModelScorer, pa.Table, pa.Table]:
    """Scorer, input and expected output of a golden."""
    scorer = load_scorer(folder / "pipeline.config", folder / "weights.safetensors")
    assert isinstance(scorer, ModelScorer)
    return scorer, pq.read_table(folder / "input.parquet"), pq.read_table(folder / "expected.parquet")


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist(), np.float64)


class OnCpu(torch.nn.Module):
    """A scripted model, called as an eager one."""

    def __init__(self, model: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(self.model(batch, torch.device("cpu")))


@pytest.mark.parametrize("name", GOLDENS)
def test_golden(shared: Path, name: str) -> None:
    scorer, table, expected = load(shared / "goldens" / name)
    out = scorer.score(table)
    assert out.num_rows == 96
    assert out.column_names == expected.column_names[1:]
    for column in out.column_names:
        np.testing.assert_allclose(numbers(out[column]), numbers(expected[column]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [*GOLDENS, "multi_tower_din_fg_mock_gradient_clipping"])
def test_golden_scripted(shared: Path, name: str) -> None:
    scorer, table, _ = load(shared / "goldens" / name)
    expected = scorer.score(table)
    tables = with_inference_tables(scorer._model, torch.float, torch.float)
    model = OnCpu(script(trace(tables, scorer.features)))
    out = ModelScorer(model, scorer.features, "scripted", scorer.data_config).score(table)
    for column in out.column_names:
        np.testing.assert_allclose(numbers(out[column]), numbers(expected[column]), rtol=1e-5, atol=1e-5)


def test_weights_must_fit_strictly(shared: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from recinfer.errors import ModelError

    folder = shared / "goldens" / "deepfm_criteo"
    tensors = load_file(folder / "weights.safetensors")
    name = "deep_mlp.mlp.0.perceptron.0.weight"
    kept = {key: value for key, value in tensors.items() if key != name}
    cases: dict[str, dict[str, torch.Tensor]] = {
        f"missing: {name}": kept,
        "unexpected: left_over": {**tensors, "left_over": torch.zeros(1)},
        f"other shapes: {name}": {**tensors, name: torch.zeros(1, 1)},
    }
    for message, content in cases.items():
        save_file(content, tmp_path / "w.safetensors")
        with pytest.raises(ModelError, match=message):
            load_scorer(folder / "pipeline.config", tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"none\.safetensors does not exist"):
        load_scorer(folder / "pipeline.config", tmp_path / "none.safetensors")


SHIFTED = "click_50_seq__raw_3"
CLICKS = "click_50_seq__item_id"
SHIFTED_GOLDENS = {"multi_tower_din_fg_mock_bf16_emb_fp16": 12, "multi_tower_din_fg_mock_gradient_clipping": 8}


def reference_batch(scorer: ModelScorer, table: pa.Table) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """The batch with ``click_50_seq__raw_3`` as the reference flattens it, and which rows lie past the stream's end.

    The default fills an empty sequence with one number where four belong. Nothing tells the reference, so that every
    later vector shifts, and the last ones are read from past the end of the stream: zeros here, anything there.
    """
    batch = scorer.parser(table)
    flat: list[float] = []
    for steps in table[SHIFTED].to_pylist():
        flat += [number for step in steps for number in step] if steps else [0.0]
    values, lengths = batch[f"{SHIFTED}.values"], batch[f"{SHIFTED}.lengths"].numpy()
    stream = np.zeros(values.numel(), np.float32)
    stream[: len(flat)] = flat
    beyond = np.cumsum(lengths) * 4 > len(flat)
    return {**batch, f"{SHIFTED}.values": torch.from_numpy(stream).reshape(values.shape)}, beyond


class PaddedPooling(torch.nn.Module):
    """The reference's attention for rows without steps: padded, all steps are masked alike, so all weigh the same.

    Args:
        tower: ours, for the other rows.
        first: step 0 of each row, [B, D]; the padding's other steps are zeros.
        longest: steps of the padded batch.
    """

    def __init__(self, tower: torch.nn.Module, first: torch.Tensor, longest: int) -> None:
        super().__init__()
        self.tower = tower
        self.first = first
        self.longest = longest

    def forward(self, query: torch.Tensor, steps: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        pooled = self.tower(query, steps, lengths)
        return torch.where((lengths == 0).unsqueeze(1), self.first / self.longest, pooled)


@pytest.mark.parametrize("name", SHIFTED_GOLDENS)
def test_golden_with_the_shift_of_the_reference(shared: Path, name: str) -> None:
    """All but the shift is equal: with the reference's shifted vectors, its scores come out."""
    scorer, table, expected = load(shared / "goldens" / name)
    batch, beyond = reference_batch(scorer, table)
    lengths = batch[f"{CLICKS}.lengths"]
    empty = (lengths == 0).numpy()
    assert empty.sum() == SHIFTED_GOLDENS[name] and beyond.sum() <= 4
    known = ~beyond
    wanted = numbers(expected["logits"])

    plain = scorer.run(batch)["logits"].numpy()
    sure = known & ~empty
    np.testing.assert_allclose(plain[sure], wanted[sure], rtol=1e-5, atol=1e-5)
    assert np.isclose(plain, wanted, rtol=1e-5, atol=1e-5).sum() >= 85

    model: Any = scorer._model
    tower = model.din_towers[0]
    first = torch.zeros(len(lengths), tower.step_dim)
    first[:, -4:] = jagged.first_step(batch[f"{SHIFTED}.values"], batch[f"{SHIFTED}.lengths"])
    model.din_towers[0] = PaddedPooling(tower, first, int(lengths.max()))
    out = scorer.run(batch)
    for column in ("logits", "probs"):
        np.testing.assert_allclose(
            out[column].numpy()[known], numbers(expected[column])[known], rtol=1e-5, atol=1e-5, err_msg=column
        )


@pytest.mark.parametrize("name", SHIFTED_GOLDENS)
def test_a_row_scores_the_same_whatever_its_neighbours_are(shared: Path, name: str) -> None:
    """What the reference does not hold to in these two goldens, and we do."""
    scorer, table, _ = load(shared / "goldens" / name)
    whole = numbers(scorer.score(table)["logits"])
    one_by_one = [numbers(scorer.score(table.slice(row, 1))["logits"])[0] for row in range(table.num_rows)]
    np.testing.assert_allclose(one_by_one, whole, rtol=1e-5, atol=1e-5)
