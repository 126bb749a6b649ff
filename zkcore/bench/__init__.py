"""Measuring this machine: the engine's verbs, and whole proofs of models of well-known shapes with made-up weights."""
