"""The parser's rules, row by row in plain Python, to hold the fast one against."""

from __future__ import annotations

from typing import Any

import numpy as np

SEPARATOR, DELIMITER = "\x03", ";"


def pieces(text: str, separator: str = SEPARATOR) -> list[str]:
    return [piece for piece in text.split(separator) if piece]


def default_ids(default: str) -> list[int]:
    return [int(piece) for piece in pieces(default)]


def default_vector(default: str, dim: int) -> list[float]:
    numbers = [float(piece) for piece in pieces(default)] or [0.0]
    return numbers * dim if len(numbers) == 1 else numbers


def members(cell: Any) -> list[Any]:
    """What a cell holds: pieces of a string, elements of a list, or itself; nothing for null."""
    if cell is None:
        return []
    if isinstance(cell, str):
        return list(pieces(cell))
    if isinstance(cell, list):
        return [element for element in cell if element is not None and element != ""]
    return [cell]


def sparse(cells: list[Any], default: str) -> dict[str, list[Any]]:
    rows = [[int(value) for value in members(cell)] or default_ids(default) for cell in cells]
    return {"values": [value for row in rows for value in row], "lengths": [len(row) for row in rows]}


def pair(value: Any) -> tuple[int, float]:
    if isinstance(value, tuple):
        return value[0], 1.0 if value[1] is None else value[1]
    if isinstance(value, int):
        return value, 1.0
    key, colon, weight = value.partition(":")
    return int(key), float(weight) if colon else 1.0


def weighted(cells: list[Any], default: str) -> dict[str, list[Any]]:
    rows = [[pair(value) for value in members(cell)] or [pair(value) for value in pieces(default)] for cell in cells]
    return {
        "values": [key for row in rows for key, _ in row],
        "weights": [weight for row in rows for _, weight in row],
        "lengths": [len(row) for row in rows],
    }


def dense(cells: list[Any], default: str, dim: int) -> dict[str, list[Any]]:
    rows = [[float(value) for value in members(cell)] or default_vector(default, dim) for cell in cells]
    return {"values": rows}


def steps(cell: Any) -> list[Any]:
    """The steps of a row: a string is split at the delimiter, and "" has none."""
    if isinstance(cell, str):
        return cell.split(DELIMITER) if cell else []
    if isinstance(cell, list):
        return cell
    return [] if cell is None else [cell]


def sparse_sequence(cells: list[Any], default: str) -> dict[str, list[Any]]:
    fill = default_ids(default)
    rows = [[[int(value) for value in members(step)] or fill for step in steps(cell)] for cell in cells]
    if fill:
        rows = [row or [fill] for row in rows]
    return {
        "values": [value for row in rows for step in row for value in step],
        "lengths": [len(row) for row in rows],
        "key_lengths": [len(step) for row in rows for step in row],
    }


def dense_sequence(cells: list[Any], default: str, dim: int) -> dict[str, list[Any]]:
    fill = default_vector(default, dim)
    rows = [[[float(value) for value in members(step)] or fill for step in steps(cell)] for cell in cells]
    if default:
        rows = [row or [fill] for row in rows]
    return {"values": [step for row in rows for step in row], "lengths": [len(row) for row in rows]}


def as_arrays(parsed: dict[str, list[Any]], *, dim: int | None = None) -> dict[str, np.ndarray]:
    """With the shapes and types that the contract gives; ``dim`` for dense features."""
    out: dict[str, np.ndarray] = {}
    for key, values in parsed.items():
        if key == "values" and dim is not None:
            out[key] = np.array(values, np.float64).astype(np.float32).reshape(-1, dim)
        else:
            kinds = {"values": np.int64, "weights": np.float32}
            out[key] = np.array(values, kinds.get(key, np.int32))
    return out
