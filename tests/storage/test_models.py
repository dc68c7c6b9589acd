"""Exports, checkpoints and model folders on S3."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.protobuf import text_format

import recinfer
from recinfer.config.save import save_pipeline_config
from recinfer.data.storage import client as client_module
from recinfer.data.storage import fetched
from recinfer.data.storage.transfer import download
from recinfer.errors import ModelError, OutputError
from tests.storage.buckets import Bucket
from tests.storage.faulty_proxy import FaultyProxy
from tests.synthetic import config_of, make_table

TRAINING = """
train_config {
  sparse_optimizer { adagrad_optimizer { lr: 0.05 } constant_learning_rate {} }
  dense_optimizer { adam_optimizer { lr: 0.01 } constant_learning_rate {} }
  num_epochs: 2 use_tensorboard: false save_checkpoints_steps: 4 keep_checkpoint_max: 2
}
eval_config {}
model_config { metrics { auc { thresholds: 1000 } } }
"""


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(fetched, "_held", {})
    return folder / "recinfer" / "fetched"


@pytest.fixture
def config(bucket: Bucket, tmp_path: Path) -> Path:
    """A config whose input and model folder lie in the bucket."""
    bucket.put_table("in/train.parquet", make_table(300, 31), 100)
    bucket.put_table("in/eval.parquet", make_table(120, 32), 60)
    config = config_of("wide_and_deep")
    text_format.Merge(TRAINING, config)
    config.train_input_path = bucket.uri("in/train.parquet")
    config.eval_input_path = bucket.uri("in/eval.parquet")
    config.model_dir = bucket.uri("model")
    save_pipeline_config(config, tmp_path / "pipeline.config")
    return tmp_path / "pipeline.config"


def probs(table: pa.Table) -> Any:
    return np.array(table["probs"], np.float64)


def downloads(proxy: FaultyProxy) -> int:
    return sum(request.method == "GET" and "range" in request.headers for request in proxy.requests)


def test_an_export_is_copied_once_and_scores_like_a_local_one(
    exported: Callable[[str], Path], bucket: Bucket, proxy: FaultyProxy, tmp_path: Path, cache: Path
) -> None:
    folder = exported("wide_and_deep")
    bucket.put_folder("exports/one", folder)
    bucket.put_table("in/t.parquet", make_table(150, 5), 50)
    uri = bucket.uri("exports/one")
    recinfer.predict(uri, bucket.uri("in"), bucket.uri("out"))
    recinfer.predict(folder, bucket.uri("in"), tmp_path / "out")
    assert bucket.parts("out").equals(pq.read_table(tmp_path / "out"))
    assert recinfer.verify(bucket.uri("out")).complete
    proxy.requests.clear()
    recinfer.load_scorer(uri)
    assert downloads(proxy) == 0
    assert recinfer.inspect(uri).folder == uri
    bucket.put("exports/one/gm.code", b"changed")
    with pytest.raises(ModelError, match=r"gm\.code is not the file that was exported"):
        recinfer.load_scorer(uri)
    assert [path.suffix for path in sorted(cache.iterdir())].count(".lock") == 2 and len(list(cache.glob("*"))) == 3


@pytest.mark.parametrize(
    "kind", ["drop_answer", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("503", "no_answer"))]
)
def test_a_download_that_fails_in_the_middle_goes_on(
    exported: Callable[[str], Path], bucket: Bucket, proxy: FaultyProxy, kind: str
) -> None:
    folder = exported("wide_and_deep")
    bucket.put_folder("one", folder)
    with proxy.fault(kind, lambda request: "range" in request.headers, times=3) as fault:
        scorer = recinfer.load_scorer(bucket.uri("one"))
    assert len(fault.hits) == 3
    table = make_table(50, 9)
    assert scorer.score(table).equals(recinfer.load_scorer(folder).score(table))


def test_what_is_no_model_is_said(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no complete checkpoint in s3://"):
        recinfer.load_scorer(bucket.uri("nothing"))
    with pytest.raises(ModelError, match="cannot read s3://no-such-bucket-here/x: the bucket does not exist"):
        recinfer.load_scorer("s3://no-such-bucket-here/x")


def test_a_file_whose_name_leads_out_of_the_folder_is_refused(bucket: Bucket, tmp_path: Path) -> None:
    from recinfer.data.storage.clients import client_of
    from recinfer.data.storage.remote_path import parse_remote

    bucket.put("model/x", b"x")
    client = client_of(parse_remote(bucket.uri()))
    info = client.info("model/x")
    assert info is not None
    with pytest.raises(OSError, match="leads out of its folder"):
        download(client, {"../x": info}, tmp_path / "in")
    assert not (tmp_path / "x").exists()


def test_copies_that_nobody_uses_are_dropped_when_there_are_too_many(
    bucket: Bucket, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "MOST_BYTES", 250)
    for name in ("a", "b", "c"):
        bucket.put(name, b"x" * 100)
        path = fetched.local_file(bucket.uri(name))
        assert path.read_bytes() == b"x" * 100
        for lock in fetched._held.values():
            fetched.os.close(lock)
        fetched._held.clear()
    held = sorted(path.name for folder in cache.iterdir() if folder.is_dir() for path in folder.iterdir())
    assert held == ["b", "c"]


def test_training_evaluating_exporting_and_going_on_with_everything_in_the_bucket(
    config: Path, bucket: Bucket, tmp_path: Path
) -> None:
    first = recinfer.train_and_evaluate(config, overrides=["train_config.num_epochs=1"])
    assert str(first.checkpoint) == bucket.uri(f"model/model.ckpt-{first.step}")
    assert {f"model.ckpt-{step}" for step in (4, first.step)} == checkpoints(bucket)
    second = recinfer.train_and_evaluate(config)
    assert str(second.resumed_from) == str(first.checkpoint) and second.step == 2 * first.step
    assert checkpoints(bucket) == {"model.ckpt-8", f"model.ckpt-{second.step}"}
    steps = [json.loads(line)["step"] for line in bucket.get("model/eval_results.jsonl").splitlines()]
    assert steps == [4, first.step, 8, second.step]

    local = tmp_path / "local"
    whole = recinfer.train_and_evaluate(config, model_dir=local)
    assert whole.step == second.step
    table = make_table(100, 77)
    expected = probs(recinfer.load_scorer(local).score(table))
    for uri in ("model", f"model/model.ckpt-{second.step}"):
        np.testing.assert_allclose(probs(recinfer.load_scorer(bucket.uri(uri)).score(table)), expected, atol=1e-5)

    metrics = recinfer.evaluate(config)
    assert (
        json.loads(bucket.get("model/eval_result.json"))["auc"] == metrics["auc"] == pytest.approx(whole.metrics["auc"])
    )
    recinfer.export(config, bucket.uri("export"))
    np.testing.assert_allclose(probs(recinfer.load_scorer(bucket.uri("export")).score(table)), expected, atol=1e-5)


def checkpoints(bucket: Bucket) -> set[str]:
    return {key.split("/")[1] for key in bucket.keys("model/model.ckpt-")}


@pytest.mark.slow
def test_a_checkpoint_whose_upload_was_cut_off_is_never_picked(
    config: Path, bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = recinfer.train_and_evaluate(config, overrides=["train_config.num_epochs=1"])
    monkeypatch.setattr(client_module, "TRIES", 1)
    keys = bucket.keys(f"model/model.ckpt-{first.step}/")
    for allowed in (1, len(keys) - 1):
        count = [0]

        def late(request: Any, count: list[int] = count, allowed: int = allowed) -> bool:
            count[0] += request.method == "PUT" and "/model.ckpt-8/" in request.path
            return count[0] > allowed

        with (
            proxy.fault("503", late, times=1000),
            pytest.raises(OutputError, match=r"cannot write s3://.*model: the store is busy"),
        ):
            recinfer.train_and_evaluate(config)
        assert len(bucket.keys("model/model.ckpt-8/")) == allowed
        scorer = recinfer.load_scorer(bucket.uri("model"))
        assert scorer.fingerprint == recinfer.load_scorer(str(first.checkpoint)).fingerprint
    assert str(recinfer.train_and_evaluate(config).resumed_from) == str(first.checkpoint)


def test_an_export_whose_upload_was_cut_off_is_refused_at_each_step(
    exported: Callable[[str], Path], bucket: Bucket, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recinfer.data.storage.remote_path import parse_remote
    from recinfer.export.remote import put_export

    monkeypatch.setattr(client_module, "TRIES", 1)
    folder = exported("wide_and_deep")
    files = sum(path.is_file() for path in folder.rglob("*"))
    for allowed in range(files):
        count = [0]

        def late(request: Any, count: list[int] = count, allowed: int = allowed) -> bool:
            count[0] += request.method == "PUT"
            return count[0] > allowed

        place = parse_remote(bucket.uri(f"{allowed}/export"))
        with proxy.fault("503", late, times=1000), pytest.raises(OutputError, match="cannot write s3://"):
            put_export(folder, place)
        with pytest.raises(ModelError):
            recinfer.load_scorer(str(place))
    put_export(folder, place)
    assert bucket.content(f"{allowed}/export/") == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_an_export_is_replaced_only_when_asked_and_whole_before(
    config: Path, bucket: Bucket, exported: Callable[[str], Path], proxy: FaultyProxy
) -> None:
    from recinfer.data.storage.remote_path import parse_remote
    from recinfer.export.remote import check_target, put_export

    place = parse_remote(bucket.uri("export"))
    put_export(exported("deepfm"), place)
    bucket.put("export/left_over.txt", b"of the old one")
    with pytest.raises(OutputError, match="exists and is not empty"):
        check_target(place, overwrite=False)
    check_target(place, overwrite=True)
    put_export(exported("wide_and_deep"), place)
    folder = exported("wide_and_deep")
    assert bucket.content("export/") == {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert not bucket.keys("export.recinfer-new")
    bucket.put("theirs/file", b"x")
    with pytest.raises(OutputError, match="is no export"):
        check_target(parse_remote(bucket.uri("theirs")), overwrite=True)
