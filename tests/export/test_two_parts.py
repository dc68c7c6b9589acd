"""Examples that sizes are learnt from: a padded width is neither fixed nor another sequence's."""

from __future__ import annotations

from functools import partial

from recinfer.export.two_parts import EXAMPLE_ROWS, LONGEST, longest_of
from recinfer.features.example import ragged_batch
from tests.synthetic import config_of, model_of


def test_no_width_is_fixed_or_shared() -> None:
    places = range(len(EXAMPLE_ROWS))
    widths = [tuple(longest_of(place, sequence) for place in places) for sequence in range(LONGEST - 1)]
    assert len(set(widths)) == LONGEST - 1 and all(len(set(each)) > 1 for each in widths)
    assert {2, LONGEST} == {min(map(min, widths)), max(map(max, widths))}


def test_a_row_has_the_longest() -> None:
    features = model_of(config_of("multi_tower_din"))[1]
    for place, rows in enumerate(EXAMPLE_ROWS):
        batch = ragged_batch(features, rows, longest=partial(longest_of, place), seed=rows)
        assert int(batch["history__movie_id.lengths"].max()) == longest_of(place, 0)
        assert batch["history__movie_id.lengths"].equal(batch["history__rating.lengths"])
