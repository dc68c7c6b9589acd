"""Whether an export gives the scores of the model it was made from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from recinfer.errors import ParityError

# Largest difference of a probability that an export may show, by the coarsest of its types of tables and of layers. The
# errors that quantizing normal weights makes are 1e-4 (INT8), 2e-3 (INT4) and 1e-2 (INT2) of a weight; scores add many
# of them up.
BOUNDS = {"FP32": 1e-4, "FP16": 5e-3, "INT8": 5e-2, "INT4": 2e-1, "INT2": 5e-1}
DENSE_BOUNDS = {"none": 0.0, "int8": 5e-2}
# Products keep 8 bits of a number in BF16, and 11 in FP16 and in TF32.
PRECISION_BOUNDS = {"": 0.0, "BF16": 5e-2, "FP16": 5e-3, "TF32": 5e-3}


@dataclass(frozen=True)
class Difference:
    """Absolute differences of one prediction.

    Attributes:
        largest, mean: NaN where a score is not a number in one of the two alone; in both it counts as equal.
        size: largest absolute value of the model's own that are finite.
    """

    largest: float
    mean: float
    size: float = 1.0


@dataclass(frozen=True)
class ParityReport:
    """Differences between eager and exported scores.

    Attributes:
        rows: compared.
        source: where the rows come from.
        bound: on the largest difference of a probability; of another bounded prediction, times its size.
        differences: by prediction.
    """

    rows: int
    source: str
    bound: float
    differences: Mapping[str, Difference] = field(default_factory=dict)

    @property
    def worst(self) -> tuple[str, float]:
        """The bounded prediction that comes closest to its bound, or passes it furthest, and its largest difference."""
        bounded = [name for name in self.differences if is_bounded(name)]
        name = max(bounded, key=self._of_limit, default="")
        return name, self.differences[name].largest if name else 0.0

    def limit(self, name: str) -> float:
        """The largest difference that a bounded prediction may show."""
        return self.bound * (1.0 if _is_probability(name) else self.differences[name].size)

    def _of_limit(self, name: str) -> float:
        """The largest difference of a prediction over its limit; what is no number is beyond any."""
        largest, limit = self.differences[name].largest, self.limit(name)
        if math.isnan(largest):
            return math.inf
        if largest == limit:
            # Both may be infinite, or 0, whose ratio is no number.
            return 1.0 if largest else 0.0
        return largest / limit if limit > 0 else math.inf

    def to_json(self) -> dict[str, Any]:
        """As ``recinfer.json`` holds it."""
        return asdict(self)

    def check(self) -> None:
        """Refuses an export that strays too far.

        Raises:
            ParityError: a prediction differs by more than its limit, or is not a number in one of the two alone.
        """
        name, largest = self.worst
        if name and not largest <= self.limit(name):
            of, what = (
                ("", "")
                if _is_probability(name)
                else (f", {self.bound:.3g} of its largest value", f", a part of the largest {name},")
            )
            raise ParityError(
                f"the export's {name} differs by {largest:.3g} from the model's, above the bound of "
                f"{self.limit(name):.3g}{of} ({self.rows} rows of {self.source})",
                f"choose finer table types where they are coarse, or set --parity-bound{what} if it is acceptable",
            )


def compare(eager: pa.Table, exported: pa.Table, source: str, bound: float) -> ParityReport:
    """Holds the scores of an export against those of its model.

    Args:
        eager, exported: scores of the same rows.
        source: origin of the rows, for the report.
        bound: see :class:`ParityReport`.
    """
    return ParityReport(
        eager.num_rows,
        source,
        bound,
        {name: _difference(eager.column(name), exported.column(name)) for name in eager.column_names},
    )


def is_bounded(name: str) -> bool:
    """Whether the bound holds for a prediction: logits have no scale, so probabilities are held instead."""
    return not name.startswith("logits")


def _is_probability(name: str) -> bool:
    """Whether the bound is on differences as they are: other predictions have a scale of their own."""
    return name.startswith("probs")


def default_bound(tables: Sequence[str], dense: str = "none", *precisions: str) -> float:
    """The bound for an export with tables and layers of these types, and products of these precisions."""
    of_products = [DENSE_BOUNDS[dense], *(PRECISION_BOUNDS[name] for name in precisions)]
    return max(BOUNDS["FP32"], *of_products, *(BOUNDS[name] for name in tables))


def _difference(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Difference:
    model, export = _flat(left), _flat(right)
    if not len(model):
        return Difference(0.0, 0.0)
    # Infinity less infinity is no number, so what is the same in both is told apart first.
    same = (model == export) | (np.isnan(model) & np.isnan(export))
    distance = np.abs(np.subtract(model, export, out=np.zeros_like(model), where=~same))
    # An infinite score would allow any difference of the others.
    size = np.abs(model[np.isfinite(model)]).max(initial=0.0)
    return Difference(float(distance.max()), float(distance.mean()), float(size))


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    while pa.types.is_list(array.type):
        array = array.flatten()
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values.astype(np.float64)
