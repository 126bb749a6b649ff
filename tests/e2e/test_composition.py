"""Strategies, attention and lookup arguments compose: every combination commits, proves, verifies and rejects, and
those that compute the same integer model give the same answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.checkpoints import CONFIG, Place, write_checkpoint
from tests.e2e.files import flipped
from tests.e2e.limits import refused
from zkcore import api, config, public
from zkcore.errors import ConfigError, ProofRejected
from zkcore.models.family import Sequence

Choice = Mapping[str, Any]

# A dimension of the matrix: name of the choice -> its part of the configuration. `plugins` add up.
STRATEGY: dict[str, Choice] = {
    "per_layer": {},
    "folding": {"plugins": ["folding"], "strategy": {"name": "folding"}},
}
ATTENTION: dict[str, Choice] = {
    "attention": {},
    "gqa": {"plugins": ["gqa"], "model": {"attention": {"name": "gqa"}}},
    "zkattn": {
        "model": {
            "attention": {
                "name": "zkattn",
                "zkattn": {"segment_bits": ["auto", 12, 12], "theta_bits": [5, 11], "step_bits": 14},
            }
        }
    },
}
LOOKUP: dict[str, Choice] = {"logup_gkr": {}, "tlookup": {"lookup": "tlookup"}}
WEIGHTS: dict[str, Choice] = {"integers": {}, "ternary": {"plugins": ["ternary"], "model": {"encoding": "absmean"}}}
MATRIX = list(product(STRATEGY, ATTENTION, LOOKUP, WEIGHTS))
QUICK = [
    ("folding", "gqa", "logup_gkr", "integers"),
    ("folding", "gqa", "tlookup", "integers"),
    ("folding", "gqa", "logup_gkr", "ternary"),
]
PROMPT = "The old mill stands where two"


def merged(one: Choice, two: Choice) -> Choice:
    both = {k: v for k, v in two.items() if k in one}
    deeper = {k: merged(one[k], v) for k, v in both.items() if isinstance(v, Mapping)}
    lists = {k: sorted({*one[k], *v}) for k, v in both.items() if k == "plugins"}
    return {**one, **two, **deeper, **lists}


def chosen(parts: tuple[str, ...], *more: Choice) -> Choice:
    named = [choices[name] for choices, name in zip((STRATEGY, ATTENTION, LOOKUP, WEIGHTS), parts, strict=True)]
    return reduce(merged, [*named, *more], yaml.safe_load(CONFIG))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Path:
    """Three layers, four query heads on two key heads."""
    sizes = {"num_hidden_layers": 3, "num_key_value_heads": 2}
    return write_checkpoint(tmp_path_factory.mktemp("composition") / "model", **sizes)


@pytest.fixture(scope="module")
def answered(model: Path) -> Callable[..., Place]:
    """Committed and proved, once for each combination."""
    made: dict[str, Place] = {}

    def get(parts: tuple[str, ...], clear: bool = True) -> Place:
        key = " ".join((*parts, "clear" if clear else "hiding"))
        if key not in made:
            place = model.parent / key
            place.mkdir()
            path = place / "config.yaml"
            path.write_text(yaml.safe_dump(chosen(parts, {"zero_knowledge": not clear})))
            api.commit(model, path, place / "com")
            done = api.prove(place / "com", PROMPT, 3, place / "a.zkp", nonce=b"n")
            made[key] = Place(model, place / "com", place / "a.zkp", done.prompt, done.text, b"n")
        return made[key]

    return get


@pytest.mark.parametrize(
    "parts", [pytest.param(p, marks=[] if p in QUICK else pytest.mark.slow, id=" ".join(p)) for p in MATRIX]
)
def test_a_combination(answered: Callable[..., Place], parts: tuple[str, ...], tmp_path: Path) -> None:
    place = answered(parts)
    accepted = api.verify(place.proof, place.public, prompt=PROMPT, expect_text=place.text, nonce=b"n")
    assert accepted.tokens == 3
    data = place.proof.read_bytes()
    for at in (len(data) // 3, 2 * len(data) // 3, len(data) - 1):
        (tmp_path / "x").write_bytes(flipped(data, at))
        refused(lambda: api.verify(tmp_path / "x", place.public, nonce=b"n"), ProofRejected, seconds=5)
    same = ("per_layer", "zkattn" if parts[1] == "zkattn" else "attention", "logup_gkr", parts[3])
    assert place.text == answered(same).text


@pytest.mark.slow
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("lookup", LOOKUP)
def test_all_together_in_zero_knowledge(answered: Callable[..., Place], lookup: str, weights: str) -> None:
    place = answered(("folding", "gqa", lookup, weights), clear=False)
    assert api.verify(place.proof, place.public, prompt=PROMPT, nonce=b"n").zero_knowledge


@pytest.mark.slow
def test_what_a_combination_saves_is_in_its_system(answered: Callable[..., Place]) -> None:
    """Folding shares relations and openings, not values; grouped heads save values, whatever the strategy."""
    figures = {}
    for strategy, attention in product(STRATEGY, ("attention", "gqa")):
        commitment = public.load(answered((strategy, attention, "logup_gkr", "integers")).public)
        system = commitment.system(Sequence(tuple(range(21)), 18))
        figures[strategy, attention] = (system.committed_values(), system.lookups(), len(system.relations))
    for attention in ("attention", "gqa"):
        unrolled, folded = figures["per_layer", attention], figures["folding", attention]
        assert folded[:2] == unrolled[:2]
        assert folded[2] < unrolled[2]
    for strategy in STRATEGY:
        ours, theirs = figures[strategy, "gqa"], figures[strategy, "attention"]
        assert ours[0] < theirs[0]
        assert ours[1] < theirs[1]


IMPOSSIBLE: dict[str, tuple[Choice, list[str]]] = {
    "a tree for each of no layers": (
        chosen(("folding", "gqa", "logup_gkr", "integers"), {"strategy": {"batching": "each_layer"}}),
        ["strategy.batching: each_layer", "strategy.name: folding", "Choose"],
    ),
    "segments beyond the tables": (
        chosen(
            ("folding", "zkattn", "tlookup", "integers"),
            {"model": {"attention": {"zkattn": {"segment_bits": ["auto", 16, 16]}}}},
        ),
        ["segment_bits: 16", "model.table_bits: 12", "Choose"],
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_combination_that_cannot_work(name: str, model: Path, here: Path) -> None:
    """Refused before anything is done, with the reason and the way out."""
    choice, said = IMPOSSIBLE[name]
    parsed = config.parse(choice, "test")
    refused(lambda: api.commit(model, parsed, here / "x"), ConfigError, "do not go together", *said)


RATIOS = {"64/8": (16, 2), "32/8": (16, 4), "128/8": (32, 2), "MQA": (8, 1)}


@pytest.mark.slow
@pytest.mark.parametrize("ratio", RATIOS)
def test_the_ratios_of_published_models(ratio: str, tmp_path: Path, generator_cache: Path) -> None:
    """A checkpoint with as many query heads per key head: both arms give one answer, and the grouped one is smaller."""
    heads, keys = RATIOS[ratio]
    sizes = {"num_attention_heads": heads, "num_key_value_heads": keys, "head_dim": 4, "num_hidden_layers": 1}
    model, texts, sizes_of = write_checkpoint(tmp_path / "model", **sizes), [], []
    for attention in ("gqa", "attention"):
        place = tmp_path / attention
        choice = chosen(("per_layer", attention, "logup_gkr", "integers"), {"zero_knowledge": False})
        api.commit(model, config.parse(choice, "test"), place)
        done = api.prove(place, PROMPT, 3, place / "a.zkp")
        assert api.verify(place / "a.zkp", place / "public.zkc", prompt=PROMPT, expect_text=done.text).tokens == 3
        texts.append(done.text)
        sizes_of.append(done.proof_bytes)
    print(f"{ratio}: {sizes_of[0]:,} bytes in clear against {sizes_of[1]:,} with repeated heads")
    assert texts[0] == texts[1]
    assert sizes_of[0] < sizes_of[1]
