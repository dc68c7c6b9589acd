"""Several ranks learn what one learns from the same rows: parameters, metrics and checkpoints agree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recinfer.env import Environment
from recinfer.train.checkpoint_storage import read_all
from recinfer.train.share import Share

from .conftest import DIN, make_table
from .rank_jobs import run

ROOT = Path(__file__).parents[2]
BATCH = 64
CONSTRAINTS = {
    "default": "",
    "rows": 'global_embedding_constraints { sharding_types: "row_wise" }',
    "collisions by rows": 'global_embedding_constraints { sharding_types: "row_wise" }',
    "columns": 'global_embedding_constraints { sharding_types: "column_wise" }',
    "accumulated": "gradient_accumulation_steps: 2 grad_clipping { clipping_type: 'norm' max_gradient: 0.1 }",
    "averaged": "",
    "frozen": "save_checkpoints_steps: 3",
}
# name -> (ranks, training rows, evaluation rows). Those of four come first: torchrec compares all ranks of a process's
# first job with each other, and not again.
JOBS = {
    "four": (4, 192, 3),
    "collisions4": (4, 192, 150),
    "scarce": (4, 7, 1),
    "default": (2, 192, 150),
    "rows": (2, 192, 3),
    "columns": (2, 192, 150),
    "accumulated": (2, 192, 150),
    "averaged": (2, 192, 150),
    "copies": (2, 192, 150),
    "frozen": (2, 192, 150),
    "collisions": (2, 192, 150),
    "collisions by rows": (2, 192, 150),
    "uneven": (2, 201, 150),
    "resumed": (2, 192, 150),
}


def text_of(name: str, train: Path, test: Path, folder: Path, batch: int, epochs: int = 2) -> str:
    """The DIN of these tests, without what draws random numbers, and with dense updates that forgive rounding."""
    text = DIN.replace("dropout_ratio: 0.1", "").replace("shuffle: true shuffle_buffer_size: 3", "")
    text = text.replace("adam_optimizer { lr: 0.01 }", "sgd_optimizer { lr: 0.05 }")
    text = text.replace("batch_size: 32", f"batch_size: {batch} eval_batch_size: 32")
    text = text.replace("num_epochs: 2", f"num_epochs: {epochs} {CONSTRAINTS.get(name, '')}")
    if name == "averaged":
        text = text.replace("dense_optimizer {", "dense_optimizer { ema { decay: 0.9 }")
        text = text.replace("eval_config {}", "eval_config { use_dense_ema: true }")
    if name == "frozen":
        at = 'trainable: false embedding_constraints { sharding_types: "data_parallel" }'
        text = text.replace("num_buckets: 20", f"num_buckets: 20 {at}")
    if name == "copies":
        at = 'embedding_constraints { sharding_types: "data_parallel" }'
        text = text.replace("num_buckets: 20", f"num_buckets: 20 {at}")
    if name.startswith("collisions"):
        fixed = 'init_fn: "nn.init.constant_,val=0.01"'
        text = text.replace("num_buckets: 20", f"{fixed} zch {{ zch_size: 12 eviction_interval: 2 lfu {{}} }}")
        text = text.replace("num_buckets: 30", f"{fixed} zch {{ zch_size: 16 eviction_interval: 3 distance_lfu {{}} }}")
    for old, new in (('"train"', f'"{train}"'), ('"eval"', f'"{test}"'), ('"unused"', f'"{folder}"')):
        text = text.replace(old, new, 1)
    return text


def in_step_order(table: pa.Table, ranks: int) -> pa.Table:
    """The rows in the order in which ranks use them together, a step after the other."""
    shares = [Share(rank, ranks, table.num_rows, BATCH // ranks) for rank in range(ranks)]
    pieces, starts = [], [share.rows.start for share in shares]
    for position in range(shares[0].steps):
        for rank, share in enumerate(shares):
            rows = share.batch_rows(position)
            pieces.append(table.slice(starts[rank], rows))
            starts[rank] += rows
    return pa.concat_tables(pieces)


def with_ids_of_any_size(table: pa.Table) -> pa.Table:
    """Ids that lie all over int64."""
    far = {name: pa.array(np.array(table[name]) * 7919 * 2**40 - 2**61) for name in ("user", "item")}
    steps = [[step * 7919 * 2**40 - 2**61 for step in steps] for steps in table["history"].to_pylist()]
    far["history"] = pa.array(steps, pa.list_(pa.int64()))
    return pa.table({name: far.get(name, table[name]) for name in table.column_names})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``<job>`` of several ranks and ``one-<job>`` of one."""
    out = tmp_path_factory.mktemp("ranks")
    (out / "jobs.json").write_text(json.dumps([{"name": name, "ranks": job[0]} for name, job in JOBS.items()]))
    for name, (ranks, rows, tested) in JOBS.items():
        table = make_table(rows, 1)
        if name.startswith("collisions"):
            table = with_ids_of_any_size(table)
        pq.write_table(table, out / f"{name}.parquet", row_group_size=70)
        pq.write_table(in_step_order(table, ranks), out / f"one-{name}.parquet", row_group_size=70)
        test = make_table(tested, 2)
        pq.write_table(
            with_ids_of_any_size(test) if name.startswith("collisions") else test, out / f"{name}-test.parquet"
        )
        for prefix, batch in (("", BATCH // ranks), ("one-", BATCH)):
            train, test, folder = out / f"{prefix}{name}.parquet", out / f"{name}-test.parquet", out / f"{prefix}{name}"
            if prefix and name == "resumed":
                (out / "half.config").write_text(text_of(name, train, test, out / "half", batch, epochs=1))
            (out / f"{prefix}{name}.config").write_text(text_of(name, train, test, folder, batch))
        if name == "resumed":
            run(out / "half.config", Environment())
            shutil.copytree(out / "half" / "model.ckpt-3", out / "resumed" / "model.ckpt-3")
        report, _ = run(out / f"one-{name}.config", Environment())
        (out / f"one-{name}.json").write_text(json.dumps(report.metrics))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.train.rank_jobs", str(out)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out


def found(made: Path, name: str, rank: int = 0) -> Any:
    return json.loads((made / f"{name}.{rank}.json").read_text())


def last(folder: Path, part: str = "model") -> dict[str, torch.Tensor]:
    return read_all(folder / f"model.ckpt-{last_step(folder)}" / part)


def last_step(folder: Path) -> int:
    return max(int(path.name.rpartition("-")[2]) for path in folder.glob("model.ckpt-*"))


# Softmax takes no notice of this bias, whose gradient is rounding.
IDLE = "model.din_towers.0.linear.bias"


@pytest.mark.parametrize("name", JOBS)
def test_ranks_learn_what_one_learns(made: Path, name: str) -> None:
    ours, theirs = last(made / name), last(made / f"one-{name}")
    assert ours.keys() == theirs.keys()
    for key in ours.keys() - {IDLE}:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=2e-6)
    assert found(made, name)["step"] == last_step(made / f"one-{name}")


def test_a_frozen_table_stays_as_it_is(made: Path) -> None:
    weight = "model.embedding_group.emb_impls.__BASE__.ebc.embedding_bags.user_emb.weight"
    after = {step: read_all(made / "frozen" / f"model.ckpt-{step}" / "model", [weight])[weight] for step in (3, 6)}
    torch.testing.assert_close(after[3], after[6], rtol=0, atol=0)
    assert found(made, "frozen")["plan"]["user_emb pooled"][0] == "table_wise"


def test_moving_averages_agree(made: Path) -> None:
    ours, theirs = last(made / "averaged", "ema"), last(made / "one-averaged", "ema")
    assert ours.keys() == theirs.keys() and "__n_averaged__" in ours
    for key in ours.keys() - {IDLE}:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("name", JOBS)
def test_metrics_are_those_of_all_rows(made: Path, name: str) -> None:
    theirs = json.loads((made / f"one-{name}.json").read_text())
    for rank in range(JOBS[name][0]):
        assert found(made, name, rank)["metrics"] == pytest.approx(theirs, abs=1e-3, nan_ok=True)
    assert found(made, name)["metrics"] == found(made, name, 1)["metrics"] or JOBS[name][2] == 1


@pytest.mark.parametrize("name", JOBS)
def test_every_row_is_learnt_once_an_epoch(made: Path, name: str) -> None:
    ranks, rows, _ = JOBS[name]
    epochs = 1 if name == "resumed" else 2
    assert found(made, name)["rows"] == rows // ranks * ranks * epochs


def test_tables_lie_where_the_config_wants_them(made: Path) -> None:
    kinds = {name: {key: kind for key, (kind, _, _) in found(made, name)["plan"].items()} for name in JOBS}
    tables = {"user_emb pooled", "item_emb pooled", "item_emb sequence"}
    assert kinds["rows"] == dict.fromkeys(tables, "row_wise")
    assert kinds["columns"] == dict.fromkeys(tables, "column_wise")
    assert kinds["copies"]["user_emb pooled"] == "data_parallel"
    assert found(made, "rows")["plan"]["user_emb pooled"][2] == {"0": 10 * 8 * 4, "1": 10 * 8 * 4}
    assert found(made, "copies")["plan"]["user_emb pooled"][1:] == ["dense", {"0": 20 * 8 * 4, "1": 20 * 8 * 4}]
    # Twice 30 rows and 20, four ranks: the larger ones are above an even share.
    assert kinds["four"] == {
        "user_emb pooled": "table_wise",
        "item_emb pooled": "row_wise",
        "item_emb sequence": "row_wise",
    }


def test_each_rank_writes_its_part(made: Path) -> None:
    parts = {path.name for path in (made / "rows").glob("model.ckpt-6/model/*.distcp")}
    assert len(parts) == 2
    assert not list(made.glob("rows/.model*")), "no draft is left"
