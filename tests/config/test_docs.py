"""What docs/config.md shows is what happens."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recinfer.config.check import check_config
from recinfer.config.load import parse_pipeline_config
from recinfer.config.override import apply_json_edits, apply_overrides
from recinfer.errors import ConfigError
from recinfer.protos.pipeline_pb2 import EasyRecConfig

PAGE = (Path(__file__).parents[2] / "docs" / "config.md").read_text()


def table(heading: str) -> list[list[str]]:
    """The rows of the table that starts with the heading cell."""
    lines = PAGE[PAGE.index(f"| {heading} |") :].splitlines()[2:]
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_config_is_good() -> None:
    (text,) = blocks("proto")
    assert check_config(parse_pipeline_config(text)) == []


@pytest.mark.parametrize("row", table("text"), ids=lambda row: row[0])
def test_errors_of_loading(row: list[str]) -> None:
    text, shown = row
    with pytest.raises(ConfigError) as caught:
        parse_pipeline_config(text.strip("`"), "my.config")
    said = str(caught.value).replace("`", "'").replace("\n  ", "\n")
    assert said == "\n".join(part.strip(" `") for part in shown.split("<br>"))


@pytest.mark.parametrize("row", table("override"), ids=lambda row: row[0])
def test_overrides(row: list[str], good: EasyRecConfig) -> None:
    assert apply_overrides(good, [row[0].strip("`")]) != good


def test_errors_of_overrides_and_checks(good: EasyRecConfig, edited: Callable[..., EasyRecConfig]) -> None:
    override_error, check_lines = blocks("text")
    with pytest.raises(ConfigError) as caught:
        apply_overrides(good, ["data_config.bach_size=64"])
    assert str(caught.value) == override_error.strip()
    config = edited(
        ("hash_bucket_size: 100", "dynamicemb { max_capacity: 100 }"),
        ('"user_id", "item_id", "price"', '"user_id", "item_id", "prise"'),
        ('towers { input: "deep"', 'towers { input: "dep"'),
    )
    assert [str(problem) for problem in check_config(config)] == check_lines.splitlines()


def test_json_edit(good: EasyRecConfig) -> None:
    found = re.search(r"--edit_config_json '(.*?)'", PAGE)
    assert found is not None
    changed = apply_json_edits(good, found[1])
    assert (changed.data_config.batch_size, list(changed.data_config.label_fields)) == (4096, ["click"])
