"""What an export folder holds, and that there is a whole one or none."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from recinfer import load_scorer
from recinfer.config.load import load_pipeline_config, parse_pipeline_config
from recinfer.errors import BadRowError, ConfigError, ModelError, OutputError, ParityError
from recinfer.export import exporter
from recinfer.export.assets import gather_assets
from recinfer.export.build import build_export
from recinfer.export.work_folder import work_folder
from tests.synthetic import config_of, make_table, model_of, write_export_of

Exported = Callable[[str], Path]

FILES = {"scripted_model.pt", "pipeline.config", "fg.json", "model_acc.json", "gm.code", "recinfer.json"}


def test_the_folder_has_the_files_of_the_reference_and_ours(exported: Exported) -> None:
    assert {path.name for path in exported("deepfm").iterdir()} == FILES


def test_manifest(exported: Exported) -> None:
    folder = exported("multi_tower_din")
    manifest = json.loads((folder / "recinfer.json").read_text(encoding="utf-8"))
    assert manifest["format"] == 1 and manifest["created_by"].startswith("recinfer ")
    assert manifest["model_fingerprint"] == "random multi_tower_din"
    assert {"recinfer", "torch", "torchrec"} <= manifest["versions"].keys()
    assert manifest["device"] == "cpu" and manifest["cpu_features"] == []
    assert manifest["outputs"] == {"logits": "float", "probs": "float"}
    assert manifest["inputs"]["user_id"] == "list<item: int64>"
    assert manifest["inputs"]["history__mood"] == "list<item: list<item: float>>"
    assert manifest["parity"]["rows"] == 200 and manifest["parity"]["source"] == "made up"
    assert manifest["parity"]["differences"]["probs"]["largest"] <= 1e-5
    # Every other file, and what it holds, by a hash of our own.
    expected = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES - {"recinfer.json"}}
    assert manifest["sha256"] == expected


def test_switches_config_and_features(exported: Exported) -> None:
    folder = exported("multi_tower_din")
    assert json.loads((folder / "model_acc.json").read_text(encoding="utf-8")) == {"SPARSE_INT64": "1"}
    assert load_pipeline_config(folder / "pipeline.config") == config_of("multi_tower_din")
    features = json.loads((folder / "fg.json").read_text(encoding="utf-8"))["features"]
    named = {feature["feature_name"]: feature for feature in features}
    assert named["movie_id"]["feature_type"] == "id_feature" and named["movie_id"]["value_type"] == "int64"
    assert named["age"]["boundaries"] == [18, 25, 35, 45] and named["age"]["value_type"] == "int64"
    assert named["rating"]["value_type"] == "float" and "embedding_dim" not in named["popularity"]
    assert named["history__genres"]["sequence_name"] == "history" and named["history__genres"]["sequence_length"] == 6
    assert "def forward(self, data" in (folder / "gm.code").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(FILES - {"recinfer.json"}))
def test_a_changed_file_is_refused(exported: Exported, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exported("deepfm"), folder)
    load_scorer(folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} is not the file that was exported"):
        load_scorer(folder)


def test_a_folder_that_lacks_something_is_refused(exported: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exported("deepfm"), folder)
    (folder / "fg.json").unlink()
    with pytest.raises(ModelError, match=r"no complete export: fg\.json is missing"):
        load_scorer(folder)
    (folder / "recinfer.json").unlink()
    load_scorer(folder)
    (folder / "pipeline.config").unlink()
    with pytest.raises(ModelError, match=r"no complete export: pipeline\.config is missing"):
        load_scorer(folder)
    (folder / "recinfer.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"recinfer\.json is damaged"):
        load_scorer(folder)


def test_a_scripted_file_that_is_none_is_refused(exported: Exported, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    shutil.copytree(exported("deepfm"), folder)
    (folder / "recinfer.json").unlink()
    (folder / "scripted_model.pt").write_bytes(b"PK not an archive")
    with pytest.raises(ModelError, match=r"scripted_model\.pt does not load"):
        load_scorer(folder)


def test_an_export_that_strays_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "made" / "export"
    with pytest.raises(ParityError, match=r"probs differs by .* above the bound of 1e-12 \(200 rows of made up\)"):
        write_export_of("multi_tower", target, quant_emb="INT4", parity_bound=1e-12)
    assert list((tmp_path / "made").iterdir()) == []


def test_an_export_that_strays_does_not_touch_the_older_one(exported: Exported, tmp_path: Path) -> None:
    target = tmp_path / "export"
    shutil.copytree(exported("multi_tower"), target)
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    built, features = model_of(config_of("multi_tower"))
    job = exporter.ExportJob(
        config_of("multi_tower"), built, features, "", "INT4", "FP32", lambda: (make_table(9, 1), "made up"), 1e-12
    )
    with pytest.raises(ParityError):
        exporter.write_export(job, target, overwrite=True)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_rows_that_fail_leave_nothing_behind(tmp_path: Path) -> None:
    def gone() -> tuple[pa.Table, str]:
        raise OSError("the disk is gone")

    with pytest.raises(OutputError, match="the disk is gone"):
        write_export_of("multi_tower", tmp_path / "export", parity_rows=gone)
    assert list(tmp_path.iterdir()) == []


def job_of(model: str, **changes: Any) -> exporter.ExportJob:
    built, features = model_of(config_of(model))
    rows = lambda: (make_table(9, 1), "made up")  # noqa: E731
    return exporter.ExportJob(config_of(model), built, features, "", "FP32", "FP32", rows, 1e-4, **changes)


def test_an_export_is_replaced_only_on_demand(tmp_path: Path) -> None:
    target = tmp_path / "export"
    exporter.write_export(job_of("multi_tower"), target)
    with pytest.raises(OutputError, match=r"exists and is not empty(.|\n)*--overwrite"):
        exporter.write_export(job_of("multi_tower"), target)
    exporter.write_export(job_of("multi_tower"), target, overwrite=True)
    assert {path.name for path in target.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    load_scorer(target)


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is no export"):
        exporter.write_export(job_of("multi_tower"), tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_export_is_replaced_where_folders_cannot_be_exchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "export"
    exporter.write_export(job_of("multi_tower"), target)
    monkeypatch.setattr(exporter, "exchange", lambda first, second: False)
    exporter.write_export(job_of("multi_tower"), target, overwrite=True)
    assert {path.name for path in target.iterdir()} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


def test_an_older_export_is_not_replaced_where_it_holds_more(tmp_path: Path) -> None:
    target = tmp_path / "export"
    exporter.write_export(job_of("multi_tower"), target)
    (target / "mine").mkdir()
    (target / "recinfer.sig").touch()
    exporter.write_export(job_of("multi_tower"), target, overwrite=True)
    (target / "mine").mkdir()
    (target / "mine" / "notes").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds mine/notes, which is no part of the export"):
        exporter.write_export(job_of("multi_tower"), target, overwrite=True)
    assert (target / "mine" / "notes").read_text(encoding="utf-8") == "mine"
    # A damaged one lists nothing, and can be replaced all the same.
    (target / "recinfer.json").write_text("{", encoding="utf-8")
    exporter.write_export(job_of("multi_tower"), target, overwrite=True)
    assert {path.name for path in target.iterdir()} == FILES


def test_places_that_no_export_can_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(job: Any, work: Path) -> Any:
        raise AssertionError("it is refused before any work")

    monkeypatch.setattr(exporter, "build_export", never)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(OutputError, match="is the current folder"):
        exporter.write_export(job_of("multi_tower"), Path("."))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "empty")
    with pytest.raises(OutputError, match="is where a file system is mounted"):
        exporter.write_export(job_of("multi_tower"), tmp_path / "empty")
    (tmp_path / "notes").touch()
    with pytest.raises(OutputError, match="notes is a file") as caught:
        exporter.write_export(job_of("multi_tower"), tmp_path / "notes")
    assert "overwrite" not in (caught.value.hint or "")


def test_a_disk_that_is_too_small_is_told_before_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: space._replace(free=1 << 20))
    for kind in ("torchscript", "aot"):
        with pytest.raises(OutputError, match=r"1 MiB free, and the export needs up to 16"):
            write_export_of("multi_tower", tmp_path / "export", kind=kind)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_export_left_goes_with_the_next_one(tmp_path: Path) -> None:
    place = tmp_path / "export"
    long_ago = time.time() - 3600
    with work_folder(place) as held:
        left, young, other = (
            tmp_path / name
            for name in (".export.recinfer-abcd1234", ".export.recinfer-efgh5678", ".export2.recinfer-x")
        )
        for folder in (left, young, other):
            folder.mkdir()
            (folder / "aoti_model.pt2").touch()
        for folder in (left, other, held):
            os.utime(folder, (long_ago, long_ago))
        with work_folder(place) as mine:
            assert {path.name for path in tmp_path.iterdir()} == {each.name for each in (held, young, other, mine)}
    assert {path.name for path in tmp_path.iterdir()} == {young.name, other.name}


def test_a_file_system_without_locks_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(held: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    left = tmp_path / ".export.recinfer-abcd1234"
    left.mkdir()
    os.utime(left, (1, 1))
    monkeypatch.setattr(fcntl, "flock", refuse)
    with work_folder(tmp_path / "export") as mine:
        assert {path.name for path in tmp_path.iterdir()} == {left.name, mine.name}
    assert [path.name for path in tmp_path.iterdir()] == [left.name]


def test_a_bad_row_is_told_with_its_place(tmp_path: Path) -> None:
    rows = make_table(5, 1, nulls=0.0)
    bad = rows.set_column(rows.column_names.index("movie_id"), "movie_id", pa.array([1, 2, 3, 99, 4], pa.int32()))
    with pytest.raises(BadRowError, match=r"column 'movie_id': .*, in row 3 of made up"):
        write_export_of("multi_tower", tmp_path / "export", parity_rows=lambda: (bad, "made up"))


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    exporter.write_export(job_of("multi_tower"), tmp_path / "export")
    assert {path.name for path in (tmp_path / "export").iterdir()} == FILES


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="file"):
            exporter.write_export(job_of("multi_tower"), target)


VOCABULARY = """
data_config { dataset_type: ParquetDataset fg_mode: FG_NONE }
feature_configs {
  id_feature { feature_name: "a" embedding_dim: 8 vocab_file: "%s" default_bucketize_value: 0 }
}
model_config {
  feature_groups { group_name: "deep" group_type: DEEP feature_names: "a" }
  multi_tower { towers { input: "deep" } final { hidden_units: 4 } }
  losses { binary_cross_entropy {} }
}
"""


def test_vocabularies_travel_with_the_export(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("a\nb\nc\n", encoding="utf-8")
    config = parse_pipeline_config(VOCABULARY % words)
    built, features = model_of(config)
    table = pa.table({"a": [0, 1, 2]})
    job = exporter.ExportJob(config, built, features, "", "FP32", "FP32", lambda: (table, "made up"), 1e-4)
    exporter.write_export(job, tmp_path / "export")
    words.unlink()
    (tmp_path / "export").rename(tmp_path / "moved")
    scorer = load_scorer(tmp_path / "moved")
    assert scorer.features[0].table_rows == 3
    assert scorer.score(table).num_rows == 3
    manifest = json.loads((tmp_path / "moved" / "recinfer.json").read_text(encoding="utf-8"))
    assert "words.txt" in manifest["sha256"]


def test_an_export_whose_table_sizes_are_unknown_is_refused(tmp_path: Path) -> None:
    config = parse_pipeline_config(VOCABULARY % (tmp_path / "words.txt"))
    (tmp_path / "words.txt").write_text("a\nb\nc\n", encoding="utf-8")
    built, features = model_of(config)
    table = pa.table({"a": [0, 1, 2]})
    job = exporter.ExportJob(config, built, features, "", "FP32", "FP32", lambda: (table, "made up"), 1e-4)
    exporter.write_export(job, tmp_path / "export")
    (tmp_path / "export" / "recinfer.json").unlink()
    (tmp_path / "export" / "words.txt").unlink()
    with pytest.raises(ModelError, match="table sizes of a are not known"):
        load_scorer(tmp_path / "export")


def test_two_vocabularies_of_one_name(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "words" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_text("a\n", encoding="utf-8")
    features = "".join(
        f'feature_configs {{ id_feature {{ feature_name: "{place}" vocab_file: "{path}" }} }}'
        for place, path in enumerate(paths)
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="two vocabulary files are called 'words'"):
        gather_assets(parse_pipeline_config(features), tmp_path / "out")


def test_what_came_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(job: Any, work: Path) -> Any:
        (tmp_path / "export").mkdir()
        (tmp_path / "export" / "precious.txt").touch()
        return build_export(job, work)

    monkeypatch.setattr(exporter, "build_export", build)
    with pytest.raises(OutputError, match="exists and is not empty"):
        write_export_of("deepfm", tmp_path / "export")
    assert [path.name for path in tmp_path.iterdir()] == ["export"] and (tmp_path / "export" / "precious.txt").exists()


def test_a_roundabout_name_hides_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "precious.txt").touch()
    with pytest.raises(OutputError, match="exists and is not empty"):
        write_export_of("deepfm", tmp_path / "new" / ".." / "notes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes"]


def test_all_files_may_be_read_by_the_same_people(tmp_path: Path) -> None:
    folder = write_export_of("deepfm", tmp_path / "export", carry=frozenset({"eager"}))
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
