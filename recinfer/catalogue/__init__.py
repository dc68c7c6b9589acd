"""Which models there are: paper, feature groups, and a config to start from.

Facts alone, so that listing models imports nothing heavy; a test holds them against :data:`recinfer.models.MODELS`.
"""

from __future__ import annotations

from difflib import get_close_matches

from recinfer.catalogue.facts import GroupNeed, ModelFacts
from recinfer.catalogue.multi_task import MULTI_TASK
from recinfer.catalogue.ranking import RANKING
from recinfer.catalogue.starter import starter_config
from recinfer.errors import ConfigError

CATALOGUE: dict[str, ModelFacts] = {facts.name: facts for facts in (*RANKING, *MULTI_TASK)}


def find_model(name: str) -> ModelFacts:
    """The facts of a model, called as in the config or as in the literature: ``dcn_v2``, ``DCN v2``, ``dcn-v2``.

    Raises:
        ConfigError: there is none such.
    """
    known = {_plain(each): facts for facts in CATALOGUE.values() for each in (facts.name, facts.title)}
    if _plain(name) in known:
        return known[_plain(name)]
    near = get_close_matches(_plain(name), known, 1)
    raise ConfigError(
        f"there is no model `{name}`",
        f"did you mean `{known[near[0]].name}`?" if near else f"the models are {', '.join(CATALOGUE)}",
    )


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


__all__ = ["CATALOGUE", "GroupNeed", "ModelFacts", "find_model", "starter_config"]
