"""What an export is like, for people and for ``recinfer.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from recinfer.export.auto import Choice
from recinfer.export.comparison import AucPair, Speed
from recinfer.export.fold import FoldReport
from recinfer.export.parity import ParityReport


@dataclass(frozen=True)
class ExportReport:
    """What an export is like.

    Attributes:
        kind: a key of :data:`~recinfer.export.kinds.KINDS`.
        types: of its tables (``quant_emb``, ``quant_ec_emb``), of its linear layers (``quant_dense``), and of products
            (``mixed_precision``).
        parity: its scores against the model's.
        auc: of the model's scores and of the export's, by prediction, where the rows have labels.
        speeds: rows a second on one thread: ``eager`` the model's, ``export`` the export's.
        bytes: of the folder's files.
        folded: tables that were multiplied into layers.
        quantized_layers: linear layers whose products are INT8.
        choice: why the kind was chosen, if it was measured.
    """

    kind: str
    types: Mapping[str, str]
    parity: ParityReport
    auc: Mapping[str, AucPair]
    speeds: Mapping[str, Speed]
    bytes: int
    folded: FoldReport = field(default_factory=FoldReport)
    quantized_layers: list[str] = field(default_factory=list)
    choice: Choice | None = None

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return asdict(self)
