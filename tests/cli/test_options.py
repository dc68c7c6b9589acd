"""Flags whose values are spelled out in the commands: they are those that the rooms know."""

from __future__ import annotations

import click
import pytest

from recinfer.cli.options import DATASET_TYPES, TABLE_TYPES, WRITER_TYPES, NameList


def test_choices_are_what_the_rooms_know() -> None:
    from recinfer.data.readers import READERS
    from recinfer.data.writers import WRITERS
    from recinfer.export.quantize import TABLE_TYPES as EXPORT_TABLE_TYPES

    assert list(DATASET_TYPES.choices) == list(READERS)
    assert list(WRITER_TYPES.choices) == list(WRITERS)
    assert list(TABLE_TYPES.choices) == list(EXPORT_TABLE_TYPES)


def test_names_lose_the_spaces_around_them() -> None:
    assert NameList().convert(" a, b c ,d-e", None, None) == ["a", "b c", "d-e"]


@pytest.mark.parametrize("text", ["", "a,,b", "a,"])
def test_empty_names_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        NameList().convert(text, None, None)
