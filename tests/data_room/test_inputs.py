from __future__ import annotations

import os
from pathlib import Path

import pytest

from recinfer.data.inputs import InputFile, check_unchanged, input_folders, list_inputs
from recinfer.errors import InputError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "b.csv",
        "a.csv",
        "day=1/c.csv",
        "day=1/deep/d.csv",
        "_SUCCESS",
        ".hidden.csv",
        "_tmp/e.csv",
        "x,y.csv",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(tree: Path, spec: str) -> list[str]:
    return [os.path.relpath(file.path, tree) for file in list_inputs(spec)]


def test_folder_is_recursive_sorted_and_skips_hidden_names(tree: Path) -> None:
    assert names(tree, str(tree)) == ["a.csv", "b.csv", "day=1/c.csv", "day=1/deep/d.csv", "x,y.csv"]


def test_folder_below_a_hidden_folder_is_listed(tree: Path) -> None:
    assert names(tree, str(tree / "_tmp")) == ["_tmp/e.csv"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.csv", ["a.csv", "b.csv", "x,y.csv"]),
        ("[ab].csv", ["a.csv", "b.csv"]),
        ("day=*", ["day=1/c.csv", "day=1/deep/d.csv"]),
        ("*/c.csv", ["day=1/c.csv"]),
        ("**/*.csv", ["a.csv", "b.csv", "day=1/c.csv", "day=1/deep/d.csv", "x,y.csv"]),
        ("**/d.csv", ["day=1/deep/d.csv"]),
        ("day=1/**", ["day=1/c.csv", "day=1/deep/d.csv"]),
    ],
)
def test_glob(tree: Path, pattern: str, expected: list[str]) -> None:
    assert names(tree, f"{tree}/{pattern}") == expected


def test_comma_list_removes_duplicates_and_sorts(tree: Path) -> None:
    assert names(tree, f"{tree}/b.csv, {tree}/a.csv,{tree}/*.csv") == ["a.csv", "b.csv", "x,y.csv"]


def test_a_path_with_a_comma_is_one_path(tree: Path) -> None:
    assert names(tree, f"{tree}/x,y.csv") == ["x,y.csv"]


@pytest.mark.parametrize("name", ["_SUCCESS", ".hidden.csv"])
def test_a_named_file_is_never_skipped(tree: Path, name: str) -> None:
    assert names(tree, str(tree / name)) == [name]


def test_uri_and_relative_path_name_the_same_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    assert list_inputs(f"file://{tree}/a.csv") == list_inputs("a.csv") == list_inputs(f"{tree}/day=1/../a.csv")


def test_fingerprint_is_size_and_time(tree: Path) -> None:
    stat = os.stat(tree / "a.csv")
    assert list_inputs(str(tree / "a.csv")) == [InputFile(str(tree / "a.csv"), stat.st_size, stat.st_mtime_ns)]


@pytest.mark.parametrize("spec", ["nothing.csv", "no*.csv", "", " , ", "gopher://host/x"])
def test_what_is_not_there_is_an_error(tree: Path, spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    with pytest.raises(InputError):
        list_inputs(spec)


def test_changed_and_missing_files_are_noticed(tree: Path) -> None:
    (file,) = list_inputs(str(tree / "a.csv"))
    check_unchanged(file)
    os.utime(tree / "a.csv", ns=(1, 1))
    with pytest.raises(InputError, match=r"a\.csv.*changed since the plan"):
        check_unchanged(file)
    (tree / "a.csv").unlink()
    with pytest.raises(InputError, match="gone"):
        check_unchanged(file)


def test_input_folders_are_those_that_are_input_as_a_whole(tree: Path) -> None:
    assert input_folders(f"{tree}/day=*,{tree}/a.csv") == [str(tree / "day=1")]
    assert input_folders(f"{tree}/*.csv") == []
