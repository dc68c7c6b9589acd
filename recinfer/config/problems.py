"""What a check finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from recinfer.errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a config.

    Attributes:
        where: the field or feature that it is about.
        what: what is wrong.
        hint: what to do about it.
    """

    where: str
    what: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.where}" + (f" ({self.hint})" if self.hint else "")


def raise_problems(problems: Sequence[Problem], source: str = "the pipeline config") -> None:
    """Raises one error that lists all problems; does nothing where there are none.

    Raises:
        ConfigError: there is at least one problem.
    """
    if not problems:
        return
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ConfigError("\n".join([f"{source}: {count}", *(f"  - {problem}" for problem in problems)]))


def grouped_lines(problems: Sequence[Problem], around: str = "") -> list[str]:
    """One line per problem, with a hint that several share said once, after the last of them.

    Args:
        around: the place of problems that are about all of it, said elsewhere already; it is left out.
    """
    lines = []
    for hint, group in groupby(problems, key=lambda problem: problem.hint):
        lines += [f"  - {each.what}" + (f": {each.where}" if each.where != around else "") for each in group]
        lines += [f"    hint: {hint}"] if hint else []
    return lines
