"""Which new ids of a zero-collision table are let in, as a config writes it (``zch.threshold_filtering_func``).

The reference evaluates the text as Python. Here it is read: the forms that its documentation gives, and nothing else.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

# Filters of torchrec, each with its argument besides the counts.
FILTERS = {
    "dynamic_threshold_filter": "threshold_skew_multiplier",
    "average_threshold_filter": "",
    "probabilistic_threshold_filter": "per_id_probability",
}
COUNT = "count"
HINT = (
    'write "lambda x: (x > 10, 10)", or one of '
    + ", ".join(f"{name}(x, {argument}=1.0)" if argument else f"{name}(x)" for name, argument in FILTERS.items())
    + ' after "lambda x: "'
)


@dataclass(frozen=True)
class Admission:
    """A filter on how often each id was seen in the last ``eviction_interval`` batches.

    Attributes:
        kind: a key of :data:`FILTERS`, or ``count`` for a fixed number.
        value: the filter's argument, None for its default; the number of ``count``.
        inclusive: whether ``count`` lets the number itself in.
    """

    kind: str
    value: float | None = None
    inclusive: bool = False


def parse_admission(text: str) -> Admission:
    """Reads a filter: its name, a lambda that calls it, or a lambda that compares counts with a number.

    Raises:
        ValueError: says what is wrong, and in its second argument what to do.
    """
    try:
        found = _read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError:
        found = None
    if found is None:
        raise ValueError(f"threshold_filtering_func {text!r} is not understood", HINT)
    return found


def _read(node: ast.expr) -> Admission | None:
    if isinstance(node, ast.Name) and node.id in FILTERS:
        return Admission(node.id)
    if not isinstance(node, ast.Lambda) or len(node.args.args) != 1:
        return None
    counts = node.args.args[0].arg
    if isinstance(node.body, ast.Call):
        return _call(node.body, counts)
    if isinstance(node.body, ast.Tuple) and len(node.body.elts) == 2:
        return _comparison(node.body.elts[0], counts)
    return None


def _call(node: ast.Call, counts: str) -> Admission | None:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in FILTERS or not node.args or not _is_name(node.args[0], counts):
        return None
    given = [*((FILTERS[name], each) for each in node.args[1:]), *((each.arg, each.value) for each in node.keywords)]
    if not given:
        return Admission(name)
    key, value = given[0]
    number = _number(value)
    return Admission(name, number) if len(given) == 1 and key == FILTERS[name] and key and number is not None else None


def _comparison(node: ast.expr, counts: str) -> Admission | None:
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not _is_name(node.left, counts):
        return None
    number = _number(node.comparators[0])
    if number is None or not isinstance(node.ops[0], ast.Gt | ast.GtE):
        return None
    return Admission(COUNT, number, isinstance(node.ops[0], ast.GtE))


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _number(node: ast.expr) -> float | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    return None
