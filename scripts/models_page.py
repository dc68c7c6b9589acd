#!/usr/bin/env python3
"""Keeps the tables of docs/models.md: which models there are, and how well they do.

The first table is made from the catalogue of `recinfer models`, so that the page cannot say something else; the second
is written by models_table.py, which trains them.

Usage: models_page.py [--check]    (--check: writes nothing, exits 1 where the page is not what would be written)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from recinfer.catalogue import CATALOGUE, ModelFacts

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"


def replace_section(page: str, name: str, text: str) -> str:
    """The page with another text between ``<!-- name: begin -->`` and ``<!-- name: end -->``.

    Raises:
        ValueError: the page has no such place.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the page has no lines {begin} and {end}")
    return f"{before}{begin}\n{text.strip()}\n{end}{after}"


def config_of(facts: ModelFacts) -> str:
    """Where the model's config lies, from the root of the repository."""
    return f"configs/{'taobao' if facts.multi_task else 'movielens'}/{facts.name}.config"


def models_list() -> str:
    """A Markdown table per kind of model: model, paper, groups."""
    parts = []
    for title, multi_task in (("Ranking", False), ("Multi-task", True)):
        lines = [f"### {title}", "", "| model | what it is | paper | feature groups |", "|---|---|---|---|"]
        for facts in CATALOGUE.values():
            if facts.multi_task == multi_task:
                paper = f"[{facts.paper}]({facts.link})" if facts.paper else ""
                groups = "<br>".join(str(group) for group in facts.groups)
                name = f"[`{facts.name}`](../{config_of(facts)})"
                lines.append(f"| {name} | {facts.title}: {facts.summary} | {paper} | {groups} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    wanted = replace_section(page, "models", models_list())
    if options.check:
        if wanted != page:
            print(f"{PAGE} is not what the catalogue says; run: python scripts/models_page.py", file=sys.stderr)
            return 1
        print("docs/models.md is current")
        return 0
    PAGE.write_text(wanted, encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
