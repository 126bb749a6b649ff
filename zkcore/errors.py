"""Every error zkcore raises on purpose, one class per reaction."""

from __future__ import annotations


class ZkcoreError(Exception):
    """Base of all typed errors. Its text is meant for the person at the terminal. `about`: which of several files."""

    about = ""

    def __str__(self) -> str:
        return f"{self.about}: {super().__str__()}" if self.about else super().__str__()


class UsageError(ZkcoreError):
    """The request cannot be carried out as given: exit code 2."""


class OutOfMemory(UsageError):
    """The GPU's memory or the machine's does not suffice; names what to change."""


class ConfigError(UsageError):
    """One or more configuration problems, each with its key path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class ModelError(UsageError):
    """The checkpoint is unsupported, damaged or does not fit the configuration."""


class PluginError(UsageError):
    """A plugin is missing, of another version, or registers a name twice."""


class FormatError(UsageError):
    """A file of ours that its owner must be able to read is damaged or of another version."""


class GraphError(UsageError):
    """A graph that cannot be proved soundly: an interval can wrap, a digit is not unique, a check hangs loose."""


class WitnessError(ZkcoreError):
    """The prover refuses to write a proof of something false; names the guard."""

    def __init__(self, guard: str, detail: str = "") -> None:
        self.guard = guard
        super().__init__(f"{guard}: {detail}" if detail else guard)


class RangeError(UsageError):
    """A value left its proved interval at prove time; names layer, tensor and the fix."""


class NotSettled(ZkcoreError):
    """An answer holds given a settled accumulator, but there is no settlement: it is NOT accepted. Exit code 4."""


class ProofRejected(ZkcoreError):
    """The verifier does not accept: exit code 1."""

    def __init__(self, reason: str, where: str = "") -> None:
        self.reason, self.where = reason, where
        super().__init__(f"{reason} ({where})" if where else reason)
