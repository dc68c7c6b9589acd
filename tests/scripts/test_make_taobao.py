"""The made-up Taobao rows: their shape, and that clicks and purchases follow from what the columns say."""

from __future__ import annotations

from pathlib import Path

import make_taobao
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return make_taobao.make_table(4000, seed=3)


def test_same_seed_same_rows(table: pa.Table) -> None:
    assert make_taobao.make_table(4000, seed=3).equals(table)
    assert not make_taobao.make_table(4000, seed=4).equals(table)
    other_part = make_taobao.make_table(4000, seed=3, part=1)
    assert not other_part.equals(table)
    # Another part of the same world: an ad keeps its category.
    known = dict(zip(table["adgroup_id"].to_pylist(), table["cate_id"].to_pylist(), strict=True))
    for ad, category in zip(other_part["adgroup_id"].to_pylist(), other_part["cate_id"].to_pylist(), strict=True):
        assert known.get(ad, category) == category


def test_ids_fill_their_tables(table: pa.Table) -> None:
    assert set(table.column_names) == {"row_id", "ad_ctr", "clk", "buy", *make_taobao.CARDINALITY}
    for name, size in make_taobao.CARDINALITY.items():
        column = table[name].combine_chunks()
        ids = (column.flatten() if pa.types.is_list(column.type) else column.drop_null()).to_numpy()
        assert ids.min() >= 0 and ids.max() < size, name
        assert table[name].null_count > 0 if name in make_taobao.MISSING else table[name].null_count == 0, name


def test_steps_of_a_row_belong_together(table: pa.Table) -> None:
    category = dict(zip(table["adgroup_id"].to_pylist(), table["cate_id"].to_pylist(), strict=True))
    names = [f"{make_taobao.HISTORY}__{name}" for name in make_taobao.STEPS]
    lengths = set()
    for ads, categories, brands in zip(*(table[name].to_pylist() for name in names), strict=True):
        assert len(ads) == len(categories) == len(brands)
        lengths.add(len(ads))
        assert all(category.get(ad, each) == each for ad, each in zip(ads, categories, strict=True))
    assert min(lengths) == 0 and max(lengths) == make_taobao.LONGEST


def test_what_is_bought_was_clicked_on(table: pa.Table) -> None:
    clicked, bought = np.array(table["clk"]), np.array(table["buy"])
    assert not (bought > clicked).any()
    assert 0.2 < clicked.mean() < 0.6 and 0.05 < bought.mean() < 0.4


def test_history_and_profile_tell_of_the_labels(table: pa.Table) -> None:
    clicked, bought = np.array(table["clk"]), np.array(table["buy"])
    rows = table.select([f"{make_taobao.HISTORY}__cate_id", "cate_id", "shopping_level", "price"]).to_pylist()
    seen = [sum(each == row["cate_id"] for each in row[f"{make_taobao.HISTORY}__cate_id"]) for row in rows]
    assert roc_auc_score(clicked, seen) > 0.6
    assert roc_auc_score(clicked, np.array(table["ad_ctr"])) > 0.6
    cheap = [row["shopping_level"] * 10 - row["price"] for row in rows]
    assert roc_auc_score(bought[clicked == 1], np.array(cheap)[clicked == 1]) > 0.6


def test_writes_files_and_again_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "taobao"
    assert make_taobao.main([str(folder), "--rows", "25000"]) == 0
    assert sorted(path.name for path in (folder / "train").iterdir()) == [f"part-0000{n}.parquet" for n in range(3)]
    assert make_taobao.main([str(folder), "--rows", "400", "--seed", "1"]) == 0
    assert pq.read_table(folder / "train").equals(make_taobao.make_table(400, 1, 0))
    assert pq.read_table(folder / "eval").equals(make_taobao.make_table(100, 1, 1))
    capsys.readouterr()


def test_leaves_other_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("x")
    assert make_taobao.main([str(tmp_path)]) == 1
    assert "holds something else" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
