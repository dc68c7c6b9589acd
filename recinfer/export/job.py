"""What to export, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch

from recinfer.export.compile_options import DEFAULT_OPTIONS, CompileOptions
from recinfer.export.tile import Tiling
from recinfer.features.base import Feature
from recinfer.models import Model

# Memory for products of small tables and first layers: more of it wins little, and leaves the caches.
FOLD_BYTES = 32 << 20


@dataclass(frozen=True)
class ExportJob:
    """What to export.

    Attributes:
        config: the pipeline config.
        model: with its weights, in eval mode.
        features: those that the model reads.
        fingerprint: of the weights.
        quant_emb, quant_ec_emb: types of pooled and of sequence tables: FP32, FP16, INT8, INT4 or INT2.
        parity_rows: gives rows to compare scores on, and where they come from.
        parity_bound: largest difference allowed; None for what its types call for.
        fold_bytes: what products of small tables and first layers may take; 0 for none.
        quant_dense: ``int8``, or ``none``.
        kind: a key of :data:`~recinfer.export.kinds.KINDS`, or ``auto`` for the fastest.
        compile_options: what compiled kinds are made for.
        mixed_precision: of the products of dense layers: ``BF16``, ``FP16``, or "" for single precision.
        carry: what else the folder shall score with where a compiled part does not run: ``jit``, ``eager``.
        tiling: how user-side features are repeated that come once per user; None where they come with each row.
    """

    config: Any
    model: Model
    features: Sequence[Feature]
    fingerprint: str
    quant_emb: str
    quant_ec_emb: str
    parity_rows: Callable[[], tuple[pa.Table, str]]
    parity_bound: float | None = None
    fold_bytes: int = FOLD_BYTES
    quant_dense: str = "none"
    kind: str = "torchscript"
    compile_options: CompileOptions = DEFAULT_OPTIONS
    mixed_precision: str = ""
    carry: frozenset[str] = frozenset()
    tiling: Tiling | None = None

    @property
    def device(self) -> torch.device:
        """That the export is for."""
        return self.compile_options.device
