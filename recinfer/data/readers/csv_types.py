"""Column types of a CSV text, inferred once from its first block, never so that a value would change."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# At most 18 digits and no leading zero or plus sign: such a text is equal to what its int64 prints as.
INTEGER = r"^-?(0|[1-9][0-9]{0,17})$"
# Whole numbers of 19 digits or more, and "007", are names, not numbers: as doubles they would come out changed.
DECIMAL = r"^-?(0|[1-9][0-9]{0,14})(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?$|^[nN]a[nN]$|^-?inf$"


def infer_type(values: pa.ChunkedArray | pa.Array) -> pa.DataType:
    """The type that fits all values of a column of strings: int64, double, or string where in doubt.

    Args:
        values: strings, nulls for empty cells; a column of nulls alone is a string column.
    """
    texts = values.drop_null()
    if len(texts) == 0:
        return pa.string()
    if _all_match(texts, INTEGER):
        return pa.int64()
    return pa.float64() if _all_match(texts, DECIMAL) else pa.string()


def _all_match(texts: pa.ChunkedArray | pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(texts, pattern)).as_py())
