"""The pipeline of sharded models on each device: batches in order, and the scores of the plain model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist

from recinfer.data.parser import Parser
from recinfer.distributed.sharding import shard
from recinfer.predict.sharded_batch import StepBatch
from recinfer.predict.sharded_pipeline import StepModel
from recinfer.predict.sharded_scorer import ShardedScorer
from tests.predict.sharded_models import score
from tests.synthetic import MODELS, config_of, make_table, model_of

BATCHES, ROWS = 6, 50


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """A device, with a process group of one process on it."""
    found = torch.device(request.param, 0) if request.param == "cuda" else torch.device("cpu")
    on_gpu = found.type == "cuda"
    dist.init_process_group(
        "nccl" if on_gpu else "gloo",
        store=dist.HashStore(),
        rank=0,
        world_size=1,
        device_id=found if on_gpu else None,
    )
    yield found
    dist.destroy_process_group()


@pytest.mark.parametrize("name", list(MODELS))
def test_batches_come_out_in_order_with_the_scores_of_the_plain_model(name: str, device: torch.device) -> None:
    plain, features = model_of(config_of(name))
    model, _ = model_of(config_of(name))
    group = dist.group.WORLD
    assert group is not None
    module = shard(StepModel(model.to(device)), {}, group, device)
    scorer = ShardedScorer(module, features, None, device)
    table, parser = make_table(BATCHES * ROWS, 6), Parser(features, for_model=True)
    batches = [parser(table.slice(number * ROWS, ROWS)) for number in range(BATCHES)]
    steps = [StepBatch(batch, number) for number, batch in enumerate(batches)]
    found = list(score(scorer, steps, dist.new_group(backend="gloo")))
    assert [number for number, _ in found] == list(range(BATCHES))
    for number, predictions in found:
        with torch.no_grad():
            expected = plain(batches[number])
        assert predictions.keys() == expected.keys()
        for key, value in expected.items():
            assert predictions[key].device.type == device.type
            torch.testing.assert_close(predictions[key].cpu(), value, rtol=1e-5, atol=1e-5)
