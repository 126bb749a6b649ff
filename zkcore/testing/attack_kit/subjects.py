"""From the registry to subjects: each offer is put where a proof uses it. Models are small random checkpoints, made by
transformers and read, calibrated and quantised as `commit` does it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from zkcore import committer
from zkcore.backward import Driver
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.scheme import CommitmentScheme
from zkcore.compatibility import BATCHING
from zkcore.config import Config, parse
from zkcore.errors import UsageError
from zkcore.graph.op import Op
from zkcore.models import checkpoint
from zkcore.plugins import build_registry
from zkcore.registry import Offer
from zkcore.setup import Parts, Setup
from zkcore.strategy.strategy import Strategy
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.testing import toolbox
from zkcore.testing.attack_kit import systems
from zkcore.testing.attack_kit.subject import Model, Settled, Subject
from zkcore.testing.op_bench import SCOPE, Bench, Input, run_op
from zkcore.transcript.channel import DryChannel
from zkcore.transcript.transcript import Transcript

# A Hugging Face configuration of few weights, mostly of sizes that are no powers of two. A family that needs other keys
# has them in an attribute `small`, and so may any other factory: a mapping that is laid over this one. One that cannot
# take random weights has an attribute `tensor`: (name, tensor) to what the checkpoint holds in its place.
SIZES: Mapping[str, Any] = {
    "vocab_size": 23,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "eos_token_id": None,
    "bos_token_id": None,
    "pad_token_id": None,
    "initializer_range": 0.15,
    "tie_word_embeddings": False,
}
CONFIG: Mapping[str, Any] = {
    "commitment": {"log_width": 5},
    "model": {
        "weight_bits": 8,
        "activation_bits": 10,
        "hidden_bits": 14,
        "logit_bits": 24,
        "table_bits": 10,
        "rope_fraction": 8,
        "attention": {
            "tile": 16,
            "step_bits": 4,
            "exp_fraction": 8,
            "zkattn": {"segment_bits": ["auto", 10, 10], "theta_bits": [5, 8], "step_bits": 12},
        },
    },
    "calibration": {"headroom_bits": 3, "tokens": 64, "window": 16},
}
PROMPT = (3, 1, 4, 1, 5, 9)
Change = Callable[[str, Any], Any]
LOG_WIDTH = 2  # of small systems: tensors take several rows
SCOPES = {"attention op": "attention.", "mlp op": "mlp.", "activation op": "mlp."}


@dataclass(frozen=True)
class Missing:
    """An offer that cannot be attacked, and why."""

    offer: str
    why: str


def title(offer: Offer) -> str:
    return f"{offer.kind} {offer.name} (from {offer.plugin})"


def offers(plugins: tuple[str, ...], only: str | None) -> tuple[Offer, ...]:
    found = build_registry(plugins).offers.values()
    return tuple(o for o in found if only is None or o.plugin == only)


def of(offer: Offer, plugins: tuple[str, ...]) -> Iterator[Subject | Missing]:
    """What attacks on an offer are mounted on. `plugins`: those that may be needed beside it."""
    try:
        yield from _of(offer, plugins)
    except UsageError as e:
        yield Missing(title(offer), f"the kit's small model cannot have it: {e}")


def of_op(op: Op, inputs: Mapping[str, Input], table_bits: int = 8) -> Subject:
    """One op on inputs as the op suite has them; what it makes is public."""
    made = run_op(op, {role: i.flat() for role, i in inputs.items()})
    bench = Bench(op, inputs, table_bits, made)
    given = bench.given()
    system = bench.system(bench.claims(bench.witness(given)))
    return Subject(f"op {op.name}", "alone", system, given, Hyrax(LOG_WIDTH), LogupGkr(), scope=(SCOPE,))


def of_argument(argument: LookupArgument, offer: str = "") -> Subject:
    title = offer or f"lookup argument {argument.name}"
    truth, *false = systems.lookups(argument.virtual_outputs)
    return Subject(
        title, "small lookups", truth.system, truth.given, Hyrax(LOG_WIDTH), argument, falsehoods=tuple(false)
    )


def of_scheme(scheme: CommitmentScheme, offer: str = "", settled: bool = False) -> Subject:
    """`settled`: two answers put their openings off, and a settlement makes them up."""
    title = offer or f"commitment scheme {scheme.name}"
    truth, *false = systems.commitments()
    return (Settled if settled else Subject)(
        title,
        "a settlement of two answers" if settled else "small commitments",
        truth.system,
        truth.given,
        scheme,
        LogupGkr(),
        bare=True,
        falsehoods=tuple(false),
    )


def defers(scheme: CommitmentScheme) -> bool:
    """Whether it can leave an opening to a settlement."""
    truth = systems.commitments()[0]
    setup = toolbox.Setup(False, scheme)
    kept = toolbox.commit_weights(truth.system, truth.given, setup)
    t = Transcript(DryChannel(), toolbox.tools(), b"", hiding=bool(getattr(scheme, "hides", True)))
    try:
        driver = Driver(scheme, setup.argument, toolbox.adopted(t, truth.system, setup, kept), defer=True)
        driver.run(truth.system, t, None)
    except UsageError:
        return False
    return True


def of_strategy(strategy: Strategy, layers: int) -> Subject:
    setup, weights = _committed(_config({}, ()), "llama", (("num_hidden_layers", layers),))
    own = replace(setup, parts=replace(setup.parts, strategy=strategy))
    return of_model(own, weights, f"strategy {strategy.name}", f"llama, {layers} layers")


def of_model(setup: Setup, weights: Mapping[str, Any], offer: str, name: str, own: str = "") -> Subject:
    """`own`: the offer's node in each layer; none: all is its own."""
    model = Model(setup, weights, PROMPT)
    token = model.answer()
    system, given = model.prepare(token)
    scope = tuple(f"{s}{own}" for s, _ in model.graph(token).stages() if s) if own else ("",)
    wrong = systems.Case("another token", *model.prepare((token + 1) % 2))
    scheme, argument = setup.parts.scheme, setup.parts.argument
    return Subject(offer, name, system, given, scheme, argument, scope=scope, falsehoods=(wrong,), model=model)


def _of(offer: Offer, plugins: tuple[str, ...]) -> Iterator[Subject | Missing]:
    extra: Mapping[str, Any] = getattr(offer.factory, "small", {})
    match offer.kind:
        case "lookup argument":
            yield of_argument(offer.factory(), title(offer))
            yield _model(offer, plugins, {"lookup": offer.name}, extra)
        case "commitment scheme":
            yield of_scheme(offer.factory(LOG_WIDTH), title(offer))
            if defers(offer.factory(LOG_WIDTH)):
                yield of_scheme(offer.factory(LOG_WIDTH), title(offer), settled=True)
        case "strategy":
            for batching in getattr(offer.factory, "batching", BATCHING):
                changes = {"strategy": {"name": offer.name, "batching": batching}}
                yield _model(offer, plugins, changes, {"num_hidden_layers": 3, **extra})
        case "model family":
            encoding, _, family = offer.name.rpartition(" ")
            changes = {"model": {"encoding": encoding}} if encoding else {}
            yield _model(offer, plugins, changes, extra, family=family)
        case "attention op":
            yield _model(offer, plugins, {"model": {"attention": {"name": offer.name}}}, extra)
        case "mlp op":
            yield _model(offer, plugins, {}, {"hidden_act": offer.name, **extra})
        case "activation op":
            yield _model(offer, plugins, {}, {"activation_function": offer.name, **extra}, family="gpt2")
        case kind:
            yield Missing(title(offer), f"the kit knows no {kind}: it needs a subject for it")


def _model(
    offer: Offer, plugins: tuple[str, ...], changes: Mapping[str, Any], sizes: Mapping[str, Any], family: str = "llama"
) -> Subject:
    """A model with the offer in it. Its own relations and tensors are in scope; of parts that are everywhere, all."""
    needed = tuple(p for p in plugins if p == offer.plugin)
    change = getattr(offer.factory, "tensor", None)
    setup, weights = _committed(_config(changes, needed), family, tuple(sorted({**sizes}.items())), change)
    shape = setup.architecture
    name = f"{shape.family}, {shape.layers} layers" + (f", {changes}" if offer.kind == "strategy" else "")
    return of_model(setup, weights, title(offer), name, SCOPES.get(offer.kind, ""))


def _config(changes: Mapping[str, Any], plugins: tuple[str, ...]) -> str:
    """As JSON."""
    return parse(_merged(CONFIG, {**changes, "plugins": list(plugins)}), "the attack kit").model_dump_json()


@cache
def _committed(
    config: str, family: str, sizes: tuple[tuple[str, Any], ...], change: Change | None = None
) -> tuple[Setup, dict[str, Any]]:
    """A calibrated model and its integer weights."""
    parts = Parts.of(Config.model_validate_json(config), family)
    with TemporaryDirectory(prefix="zkcore-attack-") as place:
        _write_checkpoint(Path(place), family, {**SIZES, **dict(sizes)}, change)
        architecture = parts.family.architecture(checkpoint.load_config(Path(place)))
        real = parts.family.weights(architecture, checkpoint.load_tensors(Path(place)))
        texts = [tuple(int(v) for v in row) for row in np.random.default_rng(1).integers(0, 23, (4, 12))]
        setup = Setup(parts, architecture, committer.calibrated(parts, architecture, real, texts))
        return setup, committer.quantised(setup, real)


def _write_checkpoint(place: Path, family: str, sizes: Mapping[str, Any], change: Change | None) -> None:
    """A random one, of the family's own kind."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        chosen = AutoConfig.for_model(family, **sizes)
    except (ValueError, KeyError) as e:
        raise UsageError(f"transformers has no model of type {family}: {e}") from e
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(chosen)  # type: ignore[no-untyped-call]
    if change:
        for name, tensor in model.named_parameters():
            tensor.data = change(name, tensor.data)
    model.save_pretrained(place)


def _merged(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    deeper = {
        k: _merged(one[k], v) for k, v in two.items() if isinstance(v, Mapping) and isinstance(one.get(k), Mapping)
    }
    return {**one, **two, **deeper}
