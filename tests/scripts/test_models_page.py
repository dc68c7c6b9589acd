"""docs/models.md, and how its tables are kept."""

from __future__ import annotations

import models_page
import pytest

from recinfer.catalogue import CATALOGUE

TEXT = models_page.PAGE.read_text(encoding="utf-8")


def test_page_is_current() -> None:
    assert models_page.main(["--check"]) == 0


def test_a_stale_page_is_found(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path_factory.mktemp("docs") / "models.md"
    page.write_text(TEXT.replace("Cheng et al.", "Chang et al.", 1), encoding="utf-8")
    monkeypatch.setattr(models_page, "PAGE", page)
    assert models_page.main(["--check"]) == 1
    assert models_page.main([]) == 0
    assert page.read_text(encoding="utf-8") == TEXT


def test_configs_that_the_page_leads_to_exist() -> None:
    for facts in CATALOGUE.values():
        assert (models_page.ROOT / models_page.config_of(facts)).is_file()
        assert f"(../{models_page.config_of(facts)})" in TEXT


def test_quality_is_said_of_every_ranking_model() -> None:
    section = TEXT.partition("<!-- quality: begin -->")[2].partition("<!-- quality: end -->")[0]
    rows = [line.split("|")[1].strip(" `") for line in section.strip().splitlines()[2:]]
    assert sorted(rows) == sorted(name for name, facts in CATALOGUE.items() if not facts.multi_task)


def test_replaces_one_section_and_nothing_else() -> None:
    page = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n<!-- y: begin -->\n<!-- y: end -->\n"
    once = models_page.replace_section(page, "x", "new | \\1\n")
    assert once == page.replace("old", "new | \\1")
    assert models_page.replace_section(once, "x", "old") == page
    with pytest.raises(ValueError, match="z: begin"):
        models_page.replace_section(page, "z", "text")
