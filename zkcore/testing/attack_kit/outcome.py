"""What came of an attack, by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

CAUGHT, HARMLESS = "caught", "harmless"
HOLE, DEAD, UNREAD, UNBOUND, LEAK, UNCOVERED = "HOLE", "DEAD", "UNREAD", "UNBOUND", "LEAK", "uncovered"
MEANING = {
    CAUGHT: "rejected, and by what",
    HARMLESS: "accepted: what changed is padding or masked, and nothing that is read",
    HOLE: "the verifier accepts something false",
    DEAD: "a part of a message that may be anything: nobody reads it",
    UNREAD: "a part of a message that is absorbed, but no check reads it",
    UNBOUND: "a message that does not change the challenge after it",
    LEAK: "two honest proofs share what should be blinded",
    UNCOVERED: "no attack reached it, so nothing is known about it",
}
FAILURES = (HOLE, DEAD, UNREAD, UNBOUND, LEAK, UNCOVERED)


@dataclass(frozen=True)
class Outcome:
    """`by`: the guard that spoke, or why the verdict is what it is."""

    family: str
    attack: str
    verdict: str
    by: str = ""


@dataclass
class Report:
    """Of one subject. `controls`: the honest proof is accepted in these modes."""

    offer: str
    subject: str
    outcomes: list[Outcome] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failures(self) -> list[Outcome]:
        return [o for o in self.outcomes if o.verdict in FAILURES]

    @property
    def families(self) -> list[str]:
        return list(dict.fromkeys(o.family for o in self.outcomes))

    def of(self, family: str) -> list[Outcome]:
        return [o for o in self.outcomes if o.family == family]

    def content(self) -> dict[str, object]:
        """For JSON."""
        return {
            "offer": self.offer,
            "subject": self.subject,
            "controls": self.controls,
            "seconds": round(self.seconds, 1),
            "families": [summary(f, self.of(f)) for f in self.families],
            "failures": [vars(o) for o in self.failures],
            "outcomes": [vars(o) for o in self.outcomes],
        }


def summary(family: str, outcomes: Sequence[Outcome]) -> dict[str, object]:
    """How many attacks, what they came to, and the guards that caught most."""
    verdicts = Counter(o.verdict for o in outcomes)
    guards = Counter(o.by for o in outcomes if o.verdict == CAUGHT)
    return {
        "family": family,
        "attacks": len(outcomes),
        "verdicts": dict(verdicts),
        "guards": dict(guards.most_common()),
    }


def failed(reports: Iterable[Report]) -> bool:
    return any(r.failures for r in reports)
