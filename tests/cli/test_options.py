"""Flags whose values are spelled out in the commands: they are those that the rooms know."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from recinfer.cli.export import ACCELERATIONS
from recinfer.cli.options import DATASET_TYPES, TABLE_TYPES, WRITER_TYPES, NameList


def test_choices_are_what_the_rooms_know() -> None:
    from recinfer.data.readers import READERS
    from recinfer.data.writers import WRITERS
    from recinfer.export.quantize import TABLE_TYPES as EXPORT_TABLE_TYPES

    assert list(DATASET_TYPES.choices) == list(READERS)
    assert list(WRITER_TYPES.choices) == list(WRITERS)
    assert list(TABLE_TYPES.choices) == list(EXPORT_TABLE_TYPES)


@pytest.mark.parametrize("given", ["aot-unified", "aot_unified"])
def test_accelerations_are_those_of_the_exporter_and_come_as_it_names_them(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recinfer import main
    from recinfer.cli.app import app
    from recinfer.export.kinds import ACCELERATIONS as KNOWN

    class HandedOnError(Exception):
        """Ends the command where its work would begin."""

    def write(config: str, folder: str, **settings: object) -> None:
        raise HandedOnError(settings["accelerate"])

    assert set(ACCELERATIONS) == set(KNOWN)
    monkeypatch.setattr(main, "export", write)
    flags = ["--pipeline_config_path", "x.config", "--export_dir", "out", "--accelerate", given]
    assert str(CliRunner().invoke(app, ["export", *flags]).exception) == "aot-unified"
    assert "aot-unified" in CliRunner().invoke(app, ["export", "--help"]).stdout


def test_names_lose_the_spaces_around_them() -> None:
    assert NameList().convert(" a, b c ,d-e", None, None) == ["a", "b c", "d-e"]


@pytest.mark.parametrize("text", ["", "a,,b", "a,"])
def test_empty_names_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        NameList().convert(text, None, None)
