"""What a file of ours says, laid out for reading. Nothing is checked here: that is `verify`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zkcore import config, public, soundness
from zkcore import proof as files
from zkcore.errors import FormatError
from zkcore.graph.system import System
from zkcore.models.family import Sequence
from zkcore.public import PublicFile, building
from zkcore.setup import Setup
from zkcore.statement import DEFERRED
from zkcore.transcript.wire import POINT_BYTES

HIDDEN = ["the weights", "every activation", "the logits"]


def describe(path: Path, commitment: Path | None = None) -> dict[str, Any]:
    """`commitment`: a proof's, which says what shapes its ledger is about."""
    path = public.place(path)
    data = files.read(path, "file")
    if data[:8] == files.COMMITMENT_MAGIC:
        return _commitment(data)
    if data[:8] == files.PROOF_MAGIC:
        return {**_proof(data), **(proved(data, public.load(commitment)) if commitment else {})}
    if data[:8] in (files.SETTLEMENT_MAGIC, files.ACCUMULATOR_MAGIC):
        return {**_carried(data), **(_settled(data, public.load(commitment)) if commitment else {})}
    return {"kind": "configuration", **config.load(path).model_dump(mode="json")}


def _commitment(data: bytes) -> dict[str, Any]:
    file = public.parse(data)
    setup = file.setup
    sequence = Sequence((0,) * (min(64, setup.architecture.max_positions - 1) + 1), 1)
    system = file.system(sequence)
    return {
        "kind": "commitment",
        "commitment": file.statement.commitment_sha256,
        "bytes": len(data),
        "zero knowledge": setup.parts.config.zero_knowledge,
        "Architecture": setup.architecture.model_dump(mode="json"),
        "Quantisation": setup.quantisation.model_dump(mode="json"),
        "Configuration": setup.parts.config.model_dump(mode="json"),
        "Plugins": [{"name": n, "version": v} for n, v in file.statement.plugins],
        "Sections": _sections(file),
        f"Graph of an answer of {len(sequence.inputs)} tokens": _system(system),
        **_bounds(setup),
        **_ledger(file, sequence, system),
        "Public": {"what": "architecture, scales, configuration, tokenizer, commitment, prompt, output"},
        "Hidden": {"what": ", ".join(HIDDEN) if setup.parts.config.zero_knowledge else "nothing: clear mode"},
    }


def _sections(file: PublicFile) -> list[dict[str, object]]:
    parts = (("tokenizer", file.tokenizer), ("weight rows", file.rows), ("range proof", file.certificate))
    return [{"section": name, "bytes": len(part)} for name, part in parts]


def _bounds(setup: Setup) -> dict[str, dict[str, float]]:
    """Ops that know how far they are from what they approximate say so."""
    graph, keys = setup.shortest(), setup.architecture.max_positions
    found = {n.name: n.op.error_bound(keys) for n in graph.block.nodes if hasattr(n.op, "error_bound")}
    return {f"Error bound of {name}, rows of {keys}": asdict(bound) for name, bound in found.items()}


def _system(system: System) -> dict[str, int]:
    kinds = Counter(r.kind for r in system.relations)
    return {
        "committed values": system.committed_values(),
        "lookups": system.lookups(),
        "relations": len(system.relations),
        **{f"of them {kind}": n for kind, n in sorted(kinds.items())},
    }


def _proof(data: bytes) -> dict[str, Any]:
    container = files.unpack(data, files.PROOF_MAGIC, "proof")
    return {
        "kind": "proof",
        "bytes": len(data),
        "of them messages": len(container.body),
        **{k: v if isinstance(v, str) else str(v) for k, v in container.header.items()},
    }


def proved(data: bytes, commitment: PublicFile) -> dict[str, Any]:
    """What a proof's shapes come to, the range proof of its model's weights included."""
    container, a = files.unpack(data, files.PROOF_MAGIC, "proof"), commitment.setup.architecture
    header = container.header
    prompt, output = header.get("prompt"), header.get("output")
    if not isinstance(prompt, list) or not isinstance(output, list) or not prompt or not output:
        raise FormatError("proof: its header is malformed")
    tokens = (*prompt, *output)
    if len(tokens) > a.max_positions or not all(type(t) is int and 0 <= t < a.vocab_size for t in tokens):
        raise FormatError("proof: its tokens are not this model's")
    sequence = Sequence(tokens, len(prompt))
    return dict(
        _ledger(
            commitment, sequence, commitment.system(sequence, len(container.body)), header.get("opening") == DEFERRED
        )
    )


def _ledger(file: PublicFile, sequence: Sequence, system: System, defer: bool = False) -> Mapping[str, object]:
    """Of an answer as long as `sequence`, and of the weights' ranges."""
    ranges = building(soundness.errors, file.setup, building(file.setup.certificate))
    answer = building(soundness.errors, file.setup, system, defer)
    hiding = file.setup.parts.config.zero_knowledge
    left = {"Left open": ["the opening: see the settlement"]} if defer else {}
    of = {"tokens": len(sequence.tokens), "of them proved": len(sequence.generated)}
    return {
        "Ledger of an answer and of the weights' ranges": of,
        **soundness.ledger([*ranges, *answer], hiding),
        **left,
    }


def _settled(data: bytes, commitment: PublicFile) -> dict[str, Any]:
    """What a settlement adds to its answers' ledgers."""
    answers = files.unpack(data, data[:8], "settlement").header.get("answers")
    if not isinstance(answers, list) or not 0 < len(answers) <= len(data) // POINT_BYTES:
        raise FormatError("settlement: its header is malformed")
    found = building(soundness.settlement_errors, commitment.setup, len(answers))
    return dict(soundness.ledger(found, commitment.setup.parts.config.zero_knowledge))


def _carried(data: bytes) -> dict[str, Any]:
    """A settlement, or the public part of an accumulator."""
    kind = "settlement" if data[:8] == files.SETTLEMENT_MAGIC else "accumulator"
    container = files.unpack(data, data[:8], kind)
    model, answers = container.header.get("model"), container.header.get("answers")
    if not isinstance(model, dict) or not isinstance(answers, list):
        raise FormatError(f"{kind}: its header is malformed")
    settled = {"settled": str(container.header.get("settled") or "no")} if kind == "accumulator" else {}
    return {
        "kind": kind,
        "commitment": str(model.get("commitment_sha256")),
        "bytes": len(data),
        **settled,
        "Answers": [{"answer": str(a)} for a in answers],
    }
