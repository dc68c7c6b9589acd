"""MovieLens-100K ratings turned into columns for a ranking model: what was known before each rating, and nothing after.

Every id is dense and counts from 0, so a config in ``FG_NONE`` mode reads the columns as they are. ``CARDINALITY``
holds the number of ids per column, which is ``num_buckets`` in ``examples/movielens``.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

LIKED_FROM = 4.0
HISTORY_LENGTH = 50
AGE_STARTS = (18, 25, 35, 45, 50, 56)
YEAR_STARTS = (1940, 1950, 1960, 1970, 1980, 1985, 1990, 1993, 1994, 1995, 1996, 1997, 1998)
# fmt: off
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
OCCUPATIONS = (
    "administrator", "artist", "doctor", "educator", "engineer", "entertainment", "executive", "healthcare",
    "homemaker", "lawyer", "librarian", "marketing", "none", "other", "programmer", "retired", "salesman",
    "scientist", "student", "technician", "writer",
)
# fmt: on
USERS = 943
ITEMS = 1682
CARDINALITY = {
    "user_id": USERS,
    "age_bucket": len(AGE_STARTS) + 1,
    "gender": 2,
    "occupation": len(OCCUPATIONS),
    "zip_prefix": 11,
    "item_id": ITEMS,
    "year_bucket": len(YEAR_STARTS) + 2,
    "genres": len(GENRES),
    "main_genre": len(GENRES),
    "hist__item_id": ITEMS,
    "hist__main_genre": len(GENRES),
    "disliked": ITEMS,
}
# Mean and standard deviation in the train split: FG_NONE configs take numbers as they are, and networks learn best from
# standardised ones.
LOG_RATINGS_OF_USER = (4.02, 1.28)
LIKED_BY_USER = (0.575, 0.161)
LOG_RATINGS_OF_ITEM = (3.63, 1.27)
LIKES_OF_ITEM = (0.547, 0.179)


@dataclass(frozen=True)
class User:
    """One row of the user table, as ids."""

    user_id: int
    age_bucket: int
    gender: int
    occupation: int
    zip_prefix: int


@dataclass(frozen=True)
class Item:
    """One row of the film table, as ids; ``genres`` is never empty."""

    item_id: int
    year_bucket: int
    genres: tuple[int, ...]


@dataclass(frozen=True)
class Rating:
    """One rating: ``stars`` from 1 to 5, ``timestamp`` in seconds since 1970."""

    user_id: int
    item_id: int
    stars: float
    timestamp: int


@dataclass
class Tally:
    """Ratings seen so far of one user or one film, and how many of them were likes."""

    ratings: int = 0
    likes: int = 0

    def like_share(self, prior: float) -> float:
        """The share of likes, drawn towards ``prior`` while there are few ratings."""
        return (self.likes + 5.0 * prior) / (self.ratings + 5.0)


@dataclass
class State:
    """All that is known at one moment of the ratings before it."""

    users: dict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))
    items: dict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))
    liked: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    disliked: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))

    def learn(self, rating: Rating) -> None:
        like = rating.stars >= LIKED_FROM
        for tally in (self.users[rating.user_id], self.items[rating.item_id]):
            tally.ratings += 1
            tally.likes += like
        films = self.liked if like else self.disliked
        films[rating.user_id].append(rating.item_id)


def standardised(value: float, mean_and_deviation: tuple[float, float]) -> float:
    mean, deviation = mean_and_deviation
    return (value - mean) / deviation


def newest(films: Sequence[int], length: int) -> list[int]:
    """The last ``length`` films, newest first."""
    return list(films[-length:][::-1])


def bucket(value: int, starts: Sequence[int]) -> int:
    """How many of the sorted ``starts`` are at or below ``value``."""
    return sum(start <= value for start in starts)


def year_bucket(text: str) -> int:
    """0 where the year is not known, else 1 + its bucket."""
    return 1 + bucket(int(text), YEAR_STARTS) if text.isdecimal() else 0


def zip_prefix(code: str) -> int:
    """The first digit of a United States zip code, a region; 10 for codes of other countries."""
    return int(code[0]) if code[:1].isdecimal() else 10


def parse_user(fields: Sequence[str]) -> User:
    """``fields``: user_id, age, gender, occupation, zip_code."""
    number, age, gender, occupation, code = fields
    return User(
        int(number) - 1,
        bucket(int(age), AGE_STARTS),
        int(gender == "F"),
        OCCUPATIONS.index(occupation),
        zip_prefix(code),
    )


def parse_item(fields: Sequence[str]) -> Item:
    """``fields``: item_id, movie_title, release_year, genres with a space between."""
    number, _title, year, genres = fields
    return Item(int(number) - 1, year_bucket(year), tuple(GENRES.index(genre) for genre in genres.split()))


def parse_rating(fields: Sequence[str]) -> Rating:
    """``fields``: user_id, item_id, rating, timestamp."""
    user, item, stars, timestamp = fields
    return Rating(int(user) - 1, int(item) - 1, float(stars), int(timestamp))


def in_time_order(ratings: Sequence[Rating]) -> list[Rating]:
    """Sorted by time; within one second by user and film, so that the order is always the same."""
    return sorted(ratings, key=lambda rating: (rating.timestamp, rating.user_id, rating.item_id))


def build_rows(
    users: dict[int, User], items: dict[int, Item], ratings: Sequence[Rating], history_length: int = HISTORY_LENGTH
) -> Iterator[dict[str, object]]:
    """One row per rating, in time order. A row's features know only ratings of an earlier second than its own.

    Yields:
        column name -> int, float or list of int. Histories have the newest film first, so that cutting one keeps its
        newest part.
    """
    state = State()
    row_id = 0
    for _moment, group in itertools.groupby(in_time_order(ratings), key=lambda rating: rating.timestamp):
        together = list(group)
        for rating in together:
            yield _row(row_id, rating, users[rating.user_id], items, state, history_length)
            row_id += 1
        for rating in together:
            state.learn(rating)


def _row(
    row_id: int, rating: Rating, user: User, items: dict[int, Item], state: State, history_length: int
) -> dict[str, object]:
    item = items[rating.item_id]
    user_tally, item_tally = state.users[rating.user_id], state.items[rating.item_id]
    history = newest(state.liked[rating.user_id], history_length)
    return {
        "row_id": row_id,
        "timestamp": rating.timestamp,
        "rating": rating.stars,
        "label": int(rating.stars >= LIKED_FROM),
        "user_id": user.user_id,
        "age_bucket": user.age_bucket,
        "gender": user.gender,
        "occupation": user.occupation,
        "zip_prefix": user.zip_prefix,
        "item_id": item.item_id,
        "year_bucket": item.year_bucket,
        "genres": list(item.genres),
        "main_genre": item.genres[0],
        "user_ratings": standardised(math.log1p(user_tally.ratings), LOG_RATINGS_OF_USER),
        "user_likes": standardised(user_tally.like_share(prior=0.55), LIKED_BY_USER),
        "item_ratings": standardised(math.log1p(item_tally.ratings), LOG_RATINGS_OF_ITEM),
        "item_likes": standardised(item_tally.like_share(prior=0.4), LIKES_OF_ITEM),
        "hist__item_id": history,
        "hist__main_genre": [items[film].genres[0] for film in history],
        "disliked": newest(state.disliked[rating.user_id], history_length),
    }


def split_by_time(timestamps: Sequence[int], shares: Sequence[float] = (0.8, 0.1, 0.1)) -> list[range]:
    """Cuts rows in time order into consecutive ranges.

    A cut moves on to where the second changes, so that no second is on both sides.
    """
    total = len(timestamps)
    cuts = [0]
    for share in itertools.accumulate(shares[:-1]):
        cut = max(cuts[-1], round(total * share))
        while 0 < cut < total and timestamps[cut] == timestamps[cut - 1]:
            cut += 1
        cuts.append(cut)
    cuts.append(total)
    return [range(start, stop) for start, stop in itertools.pairwise(cuts)]
