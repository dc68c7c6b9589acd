"""Tables too narrow for the type that was asked for are refused with their names, not by the kernel."""

from __future__ import annotations

import pytest
import torch

from recinfer.errors import UsageError
from recinfer.export.quantize import TABLE_TYPES, with_inference_tables
from tests.synthetic import config_of, model_of


def narrow(wide_dim: int) -> torch.nn.Module:
    text = f"wide_and_deep {{ deep {{ hidden_units: 8 }} wide_embedding_dim: {wide_dim} }}"
    return model_of(config_of(text, groups=["wide", "deep"]))[0]


@pytest.mark.parametrize(("kind", "dim", "needed"), [("INT2", 4, 8), ("INT4", 2, 4)])
def test_names_the_tables_and_the_multiple(kind: str, dim: int, needed: int) -> None:
    with pytest.raises(UsageError, match=rf"{kind} .* multiples of {needed}, 5 tables .*user_id_emb_wide \({dim}\)"):
        with_inference_tables(narrow(dim), TABLE_TYPES[kind], torch.float)


@pytest.mark.parametrize("kind", ["INT4", "INT8", "FP16"])
def test_others_fit(kind: str) -> None:
    with_inference_tables(narrow(4), TABLE_TYPES[kind], torch.float)
