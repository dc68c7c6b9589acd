"""Compiled exports: equal to the model at every size, checked before each call, side by side in threads."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch._inductor import config as inductor
from torchrec import EmbeddingBagCollection, EmbeddingCollection

from recinfer import inspect, load_scorer
from recinfer.errors import ModelError
from recinfer.export.compile_options import CompileOptions
from recinfer.predict.compiled import CompiledPackage
from recinfer.predict.compiled_inputs import CompiledInput, Interface, interface_of, read_interface
from recinfer.predict.compiled_scorer import CompiledScorer, UnifiedScorer
from recinfer.predict.device import device_of
from recinfer.predict.model_scorer import ModelScorer
from tests.synthetic import GENRES, MODELS, STEPS, USERS, config_of, make_table, model_of, write_export_of

TABLES = {
    "random": make_table(400, 1),
    "only nulls": make_table(20, 3, nulls=1.0),
    "full length": make_table(50, 4, nulls=0.0, longest=STEPS * 20),
    "one row": make_table(1, 5, nulls=0.0),
    "one empty row": make_table(1, 6, nulls=1.0),
    "no rows": make_table(0, 7),
}


# All that is tested on a processor is tested on a GPU too, where there is one.
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(scope="module", params=DEVICES)
def options(request: pytest.FixtureRequest) -> CompileOptions:
    return CompileOptions(device=device_of(request.param))


@pytest.fixture(scope="module")
def unified(tmp_path_factory: pytest.TempPathFactory, options: CompileOptions) -> Path:
    folder = tmp_path_factory.mktemp("unified") / "export"
    return write_export_of("multi_tower_din", folder, kind="aot-unified", compile_options=options)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, options: CompileOptions) -> Path:
    folder = tmp_path_factory.mktemp("aot") / "export"
    return write_export_of("multi_tower_din", folder, kind="aot", compile_options=options)


def gap(left: pa.Table, right: pa.Table) -> float:
    assert left.schema == right.schema and left.num_rows == right.num_rows
    gaps = [np.abs(np.array(left[name]) - np.array(right[name])) for name in left.column_names]
    return max((float(each.max()) for each in gaps if each.size), default=0.0)


def eager(model: str) -> ModelScorer:
    config = config_of(model)
    return ModelScorer(*model_of(config), "eager", config.data_config)


def opened(folder: Path) -> CompiledScorer | UnifiedScorer:
    scorer = load_scorer(folder)
    assert isinstance(scorer, CompiledScorer | UnifiedScorer)
    return scorer


def check_equal(folder: Path, model: str) -> None:
    scorer, wanted = opened(folder), eager(model)
    for name, table in TABLES.items():
        assert gap(wanted.score(table), scorer.score(table)) <= 1e-5, name


def test_compiled_scores_equal_eager_ones(compiled: Path) -> None:
    check_equal(compiled, "multi_tower_din")


def test_scores_of_one_compiled_file_equal_eager_ones(unified: Path) -> None:
    check_equal(unified, "multi_tower_din")
    assert not (unified / "scripted_sparse_model.pt").exists()
    assert json.loads((unified / "model_acc.json").read_text())["ENABLE_AOT"] == "2"


@pytest.mark.parametrize("feature", ["user_id", "history__movie_id"])
@pytest.mark.parametrize("outside", [-1, 10**6])
def test_an_id_outside_its_table_is_an_error_in_one_file_too(unified: Path, feature: str, outside: int) -> None:
    scorer = load_scorer(unified)
    tensors = scorer.parser(make_table(4, 1, nulls=0.0))
    tensors[f"{feature}.values"][0] = outside
    with pytest.raises(ModelError, match="is outside its table"), torch.inference_mode():
        scorer.run(tensors)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("table_type", ["FP32", "INT8"])
@pytest.mark.parametrize("kind", ["aot", "aot-unified"])
def test_every_model_compiles(tmp_path: Path, model: str, table_type: str, kind: str, options: CompileOptions) -> None:
    types = {"quant_emb": table_type, "quant_ec_emb": table_type, "parity_bound": 1e-4 if table_type == "FP32" else 0.1}
    folder = write_export_of(model, tmp_path / "export", kind=kind, compile_options=options, **types)
    if table_type == "FP32":
        check_equal(folder, model)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["aot", "aot-unified"])
def test_a_batch_larger_than_the_model_takes_is_scored_in_parts(tmp_path: Path, kind: str) -> None:
    options = CompileOptions(most_rows=64)
    folder = write_export_of("multi_tower_din", tmp_path / "export", kind=kind, compile_options=options)
    assert read_interface(folder / "compiled.json").most_rows == 64
    check_equal(folder, "multi_tower_din")


@pytest.mark.parametrize("key", ["user_id.lengths", "history__genres.key_lengths"])
def test_lengths_that_do_not_fit_are_an_error(
    unified: Path, compiled: Path, exported: Callable[[str], Path], key: str
) -> None:
    for folder in (unified, compiled, exported("multi_tower_din")):
        scorer = load_scorer(folder)
        tensors = scorer.parser(make_table(4, 1, nulls=0.0))
        tensors[key][0] += 1000
        with pytest.raises(ModelError, match=f"{key} add up to"), torch.inference_mode():
            scorer.run(tensors)


def test_one_compiled_file_has_its_tables_told(unified: Path) -> None:
    contents = inspect(unified)
    assert contents.kind == "aot-unified" and contents.inputs and contents.outputs
    held = {each.name: (each.rows, each.dim, each.dtype, each.pooling) for each in contents.tables}
    assert held["user_id_emb"] == (USERS, 8, "FP32", "sum") and held["history__genres_emb"] == (
        GENRES,
        4,
        "FP32",
        "none",
    )
    assert any("layers of machine code" in note for note in contents.notes)
    # The lookup is in the library, and the manifest's tables are those that it reads.
    lookups = contents.operators["fbgemm::int_nbit_split_embedding_codegen_lookup_function"]
    modules = list(model_of(config_of("multi_tower_din"))[0].modules())
    assert lookups == sum(isinstance(each, EmbeddingBagCollection | EmbeddingCollection) for each in modules)
    # The attention's first layer is applied part by part.
    assert contents.operators["aten::linear"] == sum(type(each) is torch.nn.Linear for each in modules) - 1


def test_the_folder_says_what_it_is(compiled: Path, options: CompileOptions) -> None:
    manifest = json.loads((compiled / "recinfer.json").read_text())
    assert manifest["kind"] == "aot" and manifest["cpu_features"]
    on_gpu = options.device.type == "cuda"
    assert manifest["device"] == options.device.type and ("gpu" in manifest) == on_gpu
    assert (compiled / "gpu.json").is_file() == on_gpu
    assert set(manifest["sha256"]) >= {"scripted_sparse_model.pt", "aoti_model.pt2", "compiled.json", "gm_dense.code"}
    assert json.loads((compiled / "model_acc.json").read_text())["ENABLE_AOT"] == "1"


@pytest.mark.parametrize("outside", [-1, 10**6])
def test_an_id_outside_its_table_is_an_error(compiled: Path, outside: int) -> None:
    scorer = load_scorer(compiled)
    tensors = scorer.parser(make_table(4, 1, nulls=0.0))
    tensors["movie_id.values"][0] = outside
    with (
        pytest.raises((RuntimeError, torch.jit.Error), match=r"Expected idx|num_rows|negative"),
        torch.inference_mode(),
    ):
        scorer.run(tensors)


def test_a_damaged_package_is_refused(compiled: Path, tmp_path: Path) -> None:
    shutil.copytree(compiled, tmp_path / "export")
    package = tmp_path / "export" / "aoti_model.pt2"
    package.write_bytes(package.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"aoti_model\.pt2"):
        load_scorer(tmp_path / "export")
    with pytest.raises(ModelError, match=r"aoti_model\.pt2 does not load"):
        CompiledPackage(package, 1)


def test_large_parameters_lie_behind_the_library_and_its_file_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As from 2 GB on: the library then reads them out of its own file when it starts.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module, given = torch.nn.Linear(8, 4), torch.randn(3, 8)
    with torch.no_grad(), inductor.patch({"aot_inductor.force_mmap_weights": True}):
        program = torch.export.export(module, (given,))
        torch._inductor.aoti_compile_and_package(program, package_path=str(tmp_path / "model.pt2"))
        model = CompiledPackage(tmp_path / "model.pt2", 1)
        torch.testing.assert_close(model.run([given])[0], module(given))
    assert not list(tmp_path.glob("recinfer-*"))


def hammer(scorer: CompiledScorer | UnifiedScorer, seconds: float, threads: int) -> int:
    """Scores tables of many sizes from many threads; returns how many it did, and fails at the first that differs."""
    on_gpu = scorer.place.device.type == "cuda"
    tables = [make_table(rows, rows) for rows in (1, 3, 40, 64, 257, 700)]
    tensors = [scorer.parser(table) for table in tables]
    with torch.inference_mode():
        wanted = [scorer.run(each)["probs"] for each in tensors]
    done = [0] * threads
    wrong: list[int] = []
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        with torch.inference_mode():
            while time.monotonic() < end and not wrong:
                place = (number + done[number]) % len(tables)
                found = scorer.run(tensors[place])["probs"]
                # A GPU adds in no fixed order.
                if not torch.allclose(found, wanted[place], rtol=0, atol=1e-6 if on_gpu else 0):
                    wrong.append(place)
                done[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(seconds + 60)
    assert not any(each.is_alive() for each in running) and not wrong
    return min(done)


def test_a_run_lets_other_threads_go_on(compiled: Path, unified: Path) -> None:
    # Torch's own loader keeps Python's lock: another thread then waits for as long as the model runs.
    for folder in (compiled, unified):
        scorer = opened(folder)
        tensors = scorer.parser(make_table(20_000, 1))
        runs = [longest_wait(lambda scorer=scorer, tensors=tensors: scorer.run(tensors)) for _ in range(5)]
        # A run of a GPU may be over before the other thread has woken up a few times.
        shares = [wait / seconds for wait, seconds in runs if seconds > 0.01]
        if not shares:
            pytest.skip("the runs are too short to tell")
        assert min(shares) < 0.5, runs


def longest_wait(run: Callable[[], object]) -> tuple[float, float]:
    """How long a thread that wakes up each millisecond had to wait at most, and the time that the run took."""
    waits: list[float] = []
    stop = threading.Event()

    def watch() -> None:
        last = time.perf_counter()
        while not stop.wait(0.001):
            now = time.perf_counter()
            waits.append(now - last)
            last = now

    watching = threading.Thread(target=watch)
    watching.start()
    time.sleep(0.02)
    waits.clear()
    start = time.perf_counter()
    with torch.inference_mode():
        run()
    seconds = time.perf_counter() - start
    stop.set()
    watching.join()
    return max(waits, default=seconds), seconds


def test_threads_score_side_by_side(compiled: Path, unified: Path) -> None:
    for folder in (compiled, unified):
        assert hammer(opened(folder), 2, 8) > 0


@pytest.mark.slow
def test_eight_threads_for_a_minute(compiled: Path, unified: Path) -> None:
    for folder in (compiled, unified):
        assert hammer(opened(folder), 60, 8) > 0


INTERFACE = Interface((CompiledInput("a", "float32", ("n", 2)), CompiledInput("b", "int64", ("n",))), ("y",))
GOOD: dict[str, Callable[[], torch.Tensor]] = {"a": lambda: torch.zeros(3, 2), "b": lambda: torch.zeros(3).long()}


@pytest.mark.parametrize(
    ("name", "tensor", "says"),
    [
        ("a", None, "wants 'a', which is not there"),
        ("a", torch.zeros(3, 2).double(), "float64"),
        ("b", torch.zeros(3).int(), "int32"),
        ("a", torch.zeros(3, 4), r"\[3, 4\]"),
        ("a", torch.zeros(6), r"\[6\]"),
        ("b", torch.zeros(4).long(), r"int64 \[3\], and gets int64 \[4\]"),
    ],
)
def test_inputs_are_checked_before_each_call(name: str, tensor: torch.Tensor | None, says: str) -> None:
    given = {key: make() for key, make in GOOD.items()}
    assert [each.shape for each in INTERFACE.arrange(given)] == [(3, 2), (3,)]
    given.pop(name)
    if tensor is not None:
        given[name] = tensor
    with pytest.raises(ModelError, match=says):
        INTERFACE.arrange(given)


def test_inputs_come_contiguous_and_in_order() -> None:
    given = {"b": torch.arange(6)[::2], "a": torch.arange(6.0).view(2, 3).t()}
    first, second = INTERFACE.arrange(given)
    assert first.is_contiguous() and first.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert second.is_contiguous() and second.tolist() == [0, 2, 4]


def test_free_sizes_are_learnt_from_examples(tmp_path: Path) -> None:
    examples = [[torch.zeros(rows, 3), torch.zeros(rows + 1).int(), torch.zeros(rows, 9 - rows)] for rows in (2, 4)]
    learnt = interface_of(["x", "offsets", "z"], examples, ["y"])
    assert [each.shape for each in learnt.inputs] == [("n0", 3), ("n1",), ("n0", "n2")]
    learnt.save(tmp_path / "compiled.json")
    assert read_interface(tmp_path / "compiled.json") == learnt


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"inputs": [{}]}, r"missing required field `name` - at `\$\.inputs\[0\]`"),
        ({"most_rows": 0}, r"Expected `int` >= 1 - at `\$\.most_rows`"),
        ({"sizes": []}, r"Expected `object`, got `array` - at `\$\.sizes`"),
        ({"sizes": {"n0": [1]}}, r"at `\$\.sizes"),
        ({"outputs": None}, r"Expected `array`, got `null` - at `\$\.outputs`"),
        ({"inputs": [{"name": "x", "dtype": "float32", "shape": [-1]}]}, "Expected `int` >= 0"),
    ],
)
def test_a_damaged_interface_is_told(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    path = tmp_path / "compiled.json"
    INTERFACE.save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match=rf"compiled\.json is damaged: .*{says}"):
        read_interface(path)
