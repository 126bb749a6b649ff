"""What goes onto a report's page: a proof is verified for it, an ablation's results are read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkcore import ablation, api, inspection, public, verifier
from zkcore import proof as files
from zkcore.errors import FormatError, ProofRejected, UsageError
from zkcore.public import PublicFile
from zkcore.report import ablation as results
from zkcore.report import answer, graph, html, plots
from zkcore.report.answer import Page
from zkcore.report.progress import Reporter, StageTime

ACCURACY = "accuracy.json"  # `commit` leaves it beside public.zkc


def is_results(path: Path) -> bool:
    return files.read(path, "file")[:1] == b"{"


def ablation_page(path: Path) -> str:
    """From the results.json that `ablate --out` leaves."""
    try:
        content = json.loads(files.read(path, "results").decode("utf-8"))
        study, arms, machine = ablation.from_content(content)
    except (ValueError, KeyError, TypeError) as e:
        raise FormatError(f"{path}: no results of `zkcore ablate`: {type(e).__name__}: {e}") from None
    return results.page(study, arms, machine, results.figures(arms) if plots.available() else {})


def proof_page(proof: Path, commitment: Path, settlement: Path | None, report: Reporter) -> Page:
    """The verdict is that of `verify` about the prompt, the answer and the nonce that the proof names."""
    report.stage("read")
    model, data = public.load(commitment), files.read(proof, "proof", files.MAX_PROOF)
    container = files.unpack(data, files.PROOF_MAGIC, "proof")
    header = _shown(container.header)
    stages, verdict, accepted = _verdict(model, data, header, settlement, report)
    return Page(
        file=proof.name,
        verdict=verdict,
        accepted=accepted,
        prompt=_text(model, header["prompt"]),
        text=_text(model, header["output"]),
        statement=_statement(model, header, len(data)),
        stages=stages,
        header_bytes=len(data) - len(container.body),
        zero_knowledge=model.setup.parts.config.zero_knowledge,
        accuracy=_accuracy((commitment if commitment.is_dir() else commitment.parent) / ACCURACY),
        sections={**(_ledger(data, model) if accepted else {}), **_settings(model)},
        graph=graph_of(model),
        elsewhere=verifier.RANGES,
    )


def write(path: Path, page: str) -> None:
    files.write(files.Written(path, page.encode("utf-8")))


def graph_of(model: PublicFile) -> str:
    parts = model.setup.parts
    return graph.draw(model.setup.shortest(), parts.config.model.table_bits, parts.argument.virtual_outputs)


def page_of(found: Page) -> str:
    return answer.render(found)


def graph_page(path: Path, out: Path) -> None:
    """The graph behind a commitment, as SVG, or as a page if that is what `out` is called."""
    svg = graph_of(public.load(path))
    if out.suffix not in (".svg", ".html"):
        raise UsageError(f"{out}: a graph is drawn as .svg or .html")
    write(out, svg if out.suffix == ".svg" else html.page("zkcore graph", [path.name], [html.figure(svg)]))


def _verdict(
    model: PublicFile, data: bytes, header: Mapping[str, Any], settlement: Path | None, report: Reporter
) -> tuple[list[StageTime], str, bool]:
    expected = verifier.Expected(nonce=bytes.fromhex(header["nonce"]))
    try:
        [done] = api.check(model, [("", data)], expected, settlement, report)
    except ProofRejected as e:
        return [], f"rejected: {e}", False
    return done.stages, "accepted", True


def _shown(header: dict[str, Any]) -> dict[str, Any]:
    """A header that says enough for a page about it: a rejected proof has a page too."""
    try:
        for name in ("prompt", "output"):
            header[name] = [int(t) for t in header[name]]
        bytes.fromhex(header["nonce"])
    except (KeyError, TypeError, ValueError) as e:
        raise FormatError(f"the proof's header says nothing that could be shown: {type(e).__name__}: {e}") from None
    return header


def _text(model: PublicFile, tokens: list[int]) -> str:
    known = all(0 <= t < model.setup.architecture.vocab_size for t in tokens)
    return model.codec.show(tokens) if known and tokens else f"(tokens {tokens[:20]})"


def _statement(model: PublicFile, header: Mapping[str, Any], size: int) -> dict[str, object]:
    a = model.setup.architecture
    return {
        "commitment": model.statement.commitment_sha256,
        "model family": a.family,
        "layers": a.layers,
        "prompt tokens": len(header["prompt"]),
        "generated tokens": len(header["output"]),
        "nonce": header["nonce"] or "none",
        "proof bytes": size,
        "plugins": ", ".join(f"{name} {version}" for name, version in model.statement.plugins),
    }


def _ledger(data: bytes, model: PublicFile) -> dict[str, Any]:
    """How sound the proof is, term by term, as `inspect` says it."""
    return {k: v for k, v in inspection.proved(data, model).items() if v and isinstance(v, (Mapping, list))}


def _settings(model: PublicFile) -> dict[str, Any]:
    setup = model.setup
    parts = {
        "Architecture": setup.architecture,
        "Quantisation": setup.quantisation,
        "Configuration": setup.parts.config,
    }
    return {title: part.model_dump(mode="json") for title, part in parts.items()}


def _accuracy(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(k).replace("_", " "): v for k, v in content.items()} if isinstance(content, dict) else {}
