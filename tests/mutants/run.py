"""Drops one guard of the protocol core at a time: does an attack notice, and which one?

    python tests/mutants/run.py [part of a mutant's name ...]

Each mutant is a copy of the sources with one text replaced; the tests named beside it run on the copy. A mutant that
survives is a guard that no test misses: write the attack. Not part of the default test run: it takes some minutes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ATTACKS, BYTES = "tests/attacks/test_transcript_attacks.py", "tests/attacks/test_transcript_bytes.py"
EQUATIONS, LARGE = "tests/attacks/test_equations.py", "tests/attacks/test_large_tensors.py"
JOINT, SHARED = "tests/attacks/test_side_by_side.py", "tests/attacks/test_shared_trees.py"
HIDDEN, SETTLED = "tests/attacks/test_zero_knowledge.py", "tests/attacks/test_settlement.py"
RANGES = "tests/attacks/test_range_trees.py"
SOUNDNESS = "tests/unit/test_soundness.py"
REPLAY, REFUSED = "tests/unit/test_replay.py", "tests/conformance/test_refusals.py"
TRANSCRIPT, CLAIM = "tests/unit/test_transcript.py", "tests/unit/test_claim.py"
INTERVALS, OPENED = "tests/conformance/test_exact_intervals.py", "tests/e2e/test_settlement.py"
BOUND = "tests/e2e/test_statement_binding.py"
TERNARY = "plugins/ternary/tests/test_ops.py"
COPIED = [
    *("zkcore", "plugins", "tests/attacks", "tests/unit", "tests/vectors", "tests/e2e", "tests/conformance"),
    *("tests/conftest.py", "pyproject.toml"),
]

# An installed package would win over the copy beside it.
CONFTEST = """
import sys
from pathlib import Path

sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_editable")]
here = Path(__file__).parent
sys.path[:0] = [str(here), *(str(p) for p in (here / "plugins").iterdir())]
import zkcore
import zkcore_ternary

for module in (zkcore, zkcore_ternary):
    assert Path(module.__file__).is_relative_to(here), module.__file__
"""


@dataclass(frozen=True)
class Mutant:
    """In `file`, every (old, new) is replaced; `tests` (a file) selected by `select` (-k) must fail."""

    file: str
    edits: tuple[tuple[str, str], ...]
    tests: str
    select: str


def mutant(file: str, old: str, new: str, tests: str, select: str) -> Mutant:
    return Mutant(f"zkcore/{file}.py", ((old, new),), tests, select)


def ternary(file: str, old: str, new: str, select: str) -> Mutant:
    """Of the plugin."""
    return Mutant(f"plugins/ternary/zkcore_ternary/{file}.py", ((old, new),), TERNARY, select)


def known(file: str, label: str, value: int) -> Mutant:
    """The challenge is drawn and thrown away: the foreknown value of the attack takes its place."""
    found = re.search(rf'[\w.]*challenge\("{label}"\)', (ROOT / f"zkcore/{file}.py").read_text())
    whole = found.group() if found else label
    return mutant(
        file, whole, f"({whole} and {value})", ATTACKS, " and ".join(["test_challenge", "drawn", *label.split()])
    )


GUARD = "test_each_guard_alone"
FOLDED_MASK = (
    ("(folded.mask_row.refs, k.from_scalars([folded.r]))", "(folded.mask_row.refs, k.from_scalars([1]))"),
    (
        "k.space.take(table, places)])",
        "k.combine([(folded.r, k.space.take(table, places))], 0, grid.tape.slots)])",
    ),
    ("blind += folded.r * k.to", "blind += k.to"),
    ("k.combine([(folded.r, own.mask)]", "k.combine([(1, own.mask)]"),
)

MUTANTS: dict[str, Mutant] = {
    # what the protocol demands
    "zero check": mutant(
        "backward",
        "t.require_zero(session.only(relation, at), relation.name)",
        "t.require_zero(session.only(relation, at) * 0, relation.name)",
        ATTACKS,
        f"{GUARD} and output",
    ),
    "linear check": mutant(
        "subprotocols/waves",
        "weighted([(1, value), (-1, claim.value)])",
        "weighted([(1, value), (-1, value)])",
        ATTACKS,
        f"{GUARD} and sum",
    ),
    "einsum check": mutant(
        "subprotocols/joint",
        "session.t.require_product([step.weight(own, found.point), *found.values], end, step.guard)",
        "session.t.require_product([step.weight(own, found.point), *found.values, 0], end * 0, step.guard)",
        ATTACKS,
        f"{GUARD} and accumulator",
    ),
    "einsum without rounds": mutant(
        "subprotocols/waves",
        "session.t.require_product(session.values(_wanted(session, r, claim)), claim.value, r.name)",
        "session.t.require_product([*session.values(_wanted(session, r, claim)), 0], claim.value * 0, r.name)",
        ATTACKS,
        f"{GUARD} and transpose",
    ),
    "sums side by side": mutant(
        "subprotocols/joint",
        "session.t.require_zero(weighted([(1, final), *terms]), GUARD)",
        "session.t.require_zero(weighted([(1, final), *terms]) * 0, GUARD)",
        JOINT,
        GUARD,
    ),
    "each side by side": mutant(
        "subprotocols/joint",
        "for step, own, end, found in zip(steps, powers, ends, out, strict=True):",
        "for step, own, end, found in list(zip(steps, powers, ends, out, strict=True))[:1]:",
        JOINT,
        GUARD,
    ),
    "steps' own claims": mutant(
        "subprotocols/joint",
        "left = iter(univariate.powers(gamma, count))",
        "left = iter([gamma] * count)",
        JOINT,
        "different_products and drawn",
    ),
    "last steps": mutant(
        "subprotocols/waves",
        "    if some:\n        yield some",
        "    if False:\n        yield some",
        ATTACKS,
        f"{GUARD} and accumulator",
    ),
    "merged claims": mutant(
        "subprotocols/waves",
        "held[step.name] = [step.merged(found.point, found.values[0])]",
        "held[step.name] = []",
        ATTACKS,
        f"{GUARD} and merged",
    ),
    "einsum indicator": mutant(
        "subprotocols/plans", "padded = [x for x in summed", "padded = [x for x in ''", ATTACKS, "padding"
    ),
    "einsum clean": mutant("graph/builder", "clean = all(any(", "clean = any(any(", ATTACKS, "padding"),
    "merge drops claims": mutant(
        "subprotocols/waves",
        "steps.append(Merge(session, claims))",
        "steps.append(Merge(session, claims[:1]))",
        ATTACKS,
        f"{GUARD} and false and claim and two",
    ),
    "sets are dropped": mutant(
        "subprotocols/waves",
        "for own in einsum.together(session, r, claims)]",
        "for own in einsum.together(session, r, claims)[:1]]",
        LARGE,
        "side_by_side",
    ),
    "no opening": mutant(
        "backward",
        "            self.scheme.open(t, openings)",
        "            pass",
        ATTACKS,
        f"{GUARD} or other_weights",
    ),
    "no inner product": mutant(
        "commitment/hyrax",
        'inner_product.prove(wire, "opening", instance)',
        "instance",
        ATTACKS,
        f"{GUARD} or other_weights",
    ),
    "pin": mutant(
        "transcript/transcript",
        'self.require_zero(alone - value, "pin")',
        'self.require_zero(0 * alone - 0 * value, "pin")',
        ATTACKS,
        "pinned",
    ),
    "public tensors' names": mutant(
        "graph/builder", "if self.publics[name] is not source and", "if False and", REFUSED, "public_tensors_of_one"
    ),
    "relations' names": mutant("graph/builder", "if relation.name in self._names:", "if False:", REFUSED, "of_a_name"),
    "tables' names": mutant(
        "graph/builder", "if table and self._tables", "if False and self._tables", REFUSED, "of_a_name"
    ),
    "open claims": mutant("backward", "session.ledger.assert_empty()", "None", ATTACKS, "without_a_commitment"),
    "two claims at one place": mutant(
        "claim", "if self.get(claim.tensor, claim.place) is not None:", "if False:", CLAIM, ""
    ),
    "claims after discharge": mutant("claim", "if claim.tensor in self._closed:", "if False:", CLAIM, ""),
    "two commitments of one name": mutant("backward", "if name in self.committed:", "if False:", ATTACKS, "named_like"),
    "weight's shape": mutant(
        "backward", "if tensor.name in self.weights and", "if False and", ATTACKS, "another_shape"
    ),
    "weight's rows": mutant(
        "commitment/hyrax", "if len(rows) != len(layout.row_ids) * POINT_BYTES:", "if False:", ATTACKS, "rows_its_shape"
    ),
    # settlements
    "no settlement": mutant("commitment/deferred", "scheme.open(t, openings)", "pass", SETTLED, "false_answer"),
    "another instance": mutant("settlement", "if mine != [own]:", "if False:", SETTLED, "in_the_place"),
    "an answer dropped": mutant(
        "settlement", "if not mine:", "if not (mine := mine or [own]):", SETTLED, "another_acc"
    ),
    "judged for another model": mutant(
        "settlement", "if self.model != commitment.statement:", "if False:", SETTLED, "judged_for"
    ),
    "settled answers' names": mutant(
        "settlement", "[[e.answer, e.instance.encode().hex()]", "[[e.instance.encode().hex()]", SETTLED, "names"
    ),
    "settled model": mutant("settlement", 'b"settlement" + model +', "b'' +", SETTLED, "under_another_model"),
    "adopted in clear": mutant(
        "transcript/transcript", "self._require_pin(refs, _number(clear))", "pass", SETTLED, "adopted_in_clear"
    ),
    "adopted row": mutant(
        "transcript/transcript",
        "self._ledger.refs.append(int(refs[0]))",
        "self._ledger.refs.append(int(self._wire.points('adopted', 1, lambda: self._wire.fixed.combine("
        "[blind or 0, number or 0]).reshape(1, 12))[0]))",
        SETTLED,
        "adopted_value",
    ),
    "settlement unfinished": mutant(
        "commitment/deferred", "    t.finish()", "    t.wire().settle()", SETTLED, "opening or false_answer or adopted"
    ),
    "settlement of another model": mutant(
        "settlement",
        "if other := difference(plain(commitment.statement), found.model):",
        'if other := "":',
        SETTLED,
        "",
    ),
    "settled instance's scalars": mutant(
        "commitment/deferred", "if any(x >= MODULUS for x in point):", "if False:", SETTLED, "another_encoding"
    ),
    "given a settlement": mutant("verifier", "if settled is None:", "if False:", OPENED, "without_it and clearly"),
    "settlement of this answer": mutant(
        "verifier", "settled.require(commitment, found.open)", "pass", OPENED, "other_answers"
    ),
    "opening in the statement": mutant("statement", '"opening": self.opening,', '"opening": "",', BOUND, "one_field"),
    # intervals, and the ternary plugin's ops
    "interval to the unit": mutant(
        "graph/builder",
        'self.lookup(f"{name}.0", below_table(size), letters, [expr - lo])',
        "self.nonneg(name, letters, expr - lo, bits)",
        INTERVALS,
        "",
    ),
    "interval's upper side": mutant(
        "graph/builder",
        'self.nonneg(f"{name}.high", letters, hi - expr, bits)',
        "pass",
        INTERVALS,
        "",
    ),
    **{
        f"absmax: {name}": ternary("absmax", line, "pass", select)
        for name, line, select in (
            ("one peak", 'build.zero("one", row, squares[row] + floor[row] - 1)', "two_peaks"),
            ("attained", 'build.zero("attained", row, value[row] + floor[row] - scale[row])', "changed_scale"),
            ("not below", 'build.nonneg("below", cell, scale[row] - x[cell], self.bits)', "each_guard"),
            ("not above", 'build.nonneg("above", cell, scale[row] + x[cell], self.bits)', "each_guard"),
            ("quotient", 'build.nonneg("rest", cell, rest, self.bits)', "quotient"),
            ("room", 'build.nonneg("rest.room", cell, 2 * scale[row] - 1 - rest, self.bits)', "quotient"),
            ("range of y", 'build.nonneg("y.range", cell, y[cell] + 128, 8)', "quotient"),
            ("range of peaks", 'build.nonneg("peak.range", cell, peak[cell] + 2, 2)', "scale"),
            ("range of the floor", 'build.nonneg("floor.range", row, floor[row], 1)', "scale"),
            ("range of the scale", 'build.nonneg("scale.range", row, scale[row] - 1, self.bits - 1)', "scale"),
        )
    },
    "subnorm: inverse root": ternary(
        "subnorm", "pin_inverse_root(build, row, inverse, n, d << 2 * self.k)", "pass", "test_subnorm"
    ),
    "subnorm: epsilon": ternary("subnorm", "squares[row] + d * self.epsilon)", "squares[row])", "test_subnorm"),
    "token scale: factor": ternary(
        "token_scale", 'build.requantise(outputs["factor"], row, both, self.shift)', "pass", "token_scale or factor"
    ),
    "token scale: product": ternary(
        "token_scale",
        """build.einsum("y", f"{cell},{row}->{cell}", inputs["x"], outputs["factor"])""",
        """build.einsum("y", f"{cell},{row}->{cell}", inputs["x"], inputs["scale"])""",
        "token_scale or factor",
    ),
    # lookups
    "root": mutant(
        "subprotocols/fraction_tree",
        "t.require_zero(p, guard)",
        "t.require_zero(p * 0, guard)",
        ATTACKS,
        f"{GUARD} and outside",
    ),
    "root's inverse": mutant(
        "subprotocols/fraction_tree",
        "t.require_product([q, inverse], 1,",
        "t.require_product([q, inverse * 0], 0,",
        ATTACKS,
        f"{GUARD} and inverse",
    ),
    "layer": mutant(
        "subprotocols/fraction_tree",
        "(weight * batch, q0)]), q1], rest,",
        "(weight * batch, q0)]) * 0, q1 * 0], rest * 0,",
        ATTACKS,
        f"{GUARD} and root",
    ),
    "numerator leaves": mutant(
        "subprotocols/leaf_blocks",
        "weighted([(1, leaf.numerator), *((-w, v) for w, v in num)])",
        "weighted([(0, leaf.numerator), *((0, v) for w, v in num)])",
        ATTACKS,
        f"{GUARD} and numerator",
    ),
    "denominator leaves": mutant(
        "subprotocols/leaf_blocks",
        "weighted([(1, leaf.denominator), *((-w, v) for w, v in den), (-1, outside)])",
        "weighted([(0, leaf.denominator), *((0, v) for w, v in den)])",
        ATTACKS,
        f"{GUARD} and denominator",
    ),
    "leaves later": mutant(
        "transcript/transcript",
        "            self._later.append(require)\n        else:\n            require()",
        "            pass",
        ATTACKS,
        f"{GUARD} and denominator",
    ),
    "table sum": mutant(
        "subprotocols/logup_gkr",
        "t.require_zero(weighted([(1, final), *found]),",
        "t.require_zero(weighted([(1, final), *found]) * 0,",
        ATTACKS,
        f"{GUARD} and function",
    ),
    "definitions' tree": mutant(
        "subprotocols/logup_gkr",
        'prove_blocks(session, f"definitions {group}".strip(), blocks)',
        "None",
        ATTACKS,
        "pushforward",
    ),
    "definitions of other groups": mutant(
        "subprotocols/lookup",
        "out.setdefault(trees[d.relation.group], []).append(d)",
        "out.setdefault(trees[d.relation.group], []).extend([d] * (trees[d.relation.group] == d.relation.group))",
        JOINT,
        "function_value",
    ),
    "definitions apart": mutant(
        "subprotocols/logup_gkr",
        "powers = univariate.powers(delta, len(definitions) + 1)[1:]",
        "powers = [delta] * len(definitions)",
        SHARED,
        "two_functions and drawn",
    ),
    "columns apart": mutant(
        "subprotocols/logup_gkr",
        "shares = {key: pow(batch, i, MODULUS) for",
        "shares = {key: batch for",
        SHARED,
        "two_columns and drawn",
    ),
    "tables apart": mutant(
        "subprotocols/leaf_blocks",
        "(self.beta - self.tags[table] - 1)",
        "(self.beta - 1)",
        SHARED,
        "another_table and True",
    ),
    "tlookup equations": mutant(
        "subprotocols/tlookup",
        "weighted([(1, final), *found]), guard",
        "weighted([(1, final), *found]) * 0, guard",
        ATTACKS,
        f"{GUARD} and inverses",
    ),
    # challenges
    "zero point": mutant(
        "backward",
        'session.t.challenges("zero", num_vars(n))',
        'tuple(c and 1 for c in session.t.challenges("zero", num_vars(n)))',
        ATTACKS,
        "test_challenge and drawn and zero",
    ),
    "round": mutant(
        "transcript/rounds",
        "r = draw(LABEL)",
        "r = draw(LABEL) and 7",
        ATTACKS,
        "test_challenge and drawn and round",
    ),
    "round drawn early": Mutant(
        "zkcore/transcript/rounds.py",
        (
            ("        first, *rest = send(", "        r = draw(LABEL)\n        first, *rest = send("),
            ("        r = draw(LABEL)\n        if prover:", "        if prover:"),
        ),
        ATTACKS,
        "drawn_in_time",
    ),
    "rounds led, weights": mutant(
        "transcript/replay",
        "kernels.fold_rounds(point, degree)",
        "kernels.fold_rounds(point[::-1], degree)",
        REPLAY,
        "same_as",
    ),
    "rounds led, drawn too early": mutant(
        "transcript/replay",
        "        numbers += send(LABEL, degree, prover.round)\n        point.append(draw(LABEL))\n",
        "        point.append(draw(LABEL))\n        numbers += send(LABEL, degree, prover.round)\n",
        ATTACKS,
        "drawn_in_time",
    ),
    "rounds ahead, unabsorbed": mutant(
        "transcript/wire", "follow(kernels, label, data,", "follow(kernels, label, bytes(len(data)),", REPLAY, "same_as"
    ),
    "rounds ahead, state": mutant(
        "transcript/sponge", "self.state, challenges, weights = kernels", "_, challenges, weights = kernels", REPLAY, ""
    ),
    "rounds ahead, frames": mutant(
        "transcript/sponge", "_size(len(messages) // (rounds * pieces))", "_size(0)", REPLAY, "same_as"
    ),
    "rounds ahead, foreknown": mutant(
        "field/native_field", "return state, _unpack(drawn)", "return state, [7] * rounds", REPLAY, "same_as"
    ),
    "rounds ahead, weights": mutant(
        "transcript/values", "self._form([*weights[:-1], scale]", "self._form([*weights[:-1], 1]", REPLAY, "same_as"
    ),
    "rounds ahead, rows": mutant(
        "transcript/blind",
        "self.position.extend(range(row * self.width, ",
        "self.position.extend(range(0, ",
        REPLAY,
        "",
    ),
    "opening batch": known("commitment/hyrax", "opening batch", 1),
    "claims batch": known("subprotocols/joint", "claims", 1),
    "a box left out": mutant(
        "polynomial/boxes",
        "return tuple(Box(shape, tuple(a for a, _ in own), tuple(n for _, n in own)) for own in cut)",
        "return tuple(Box(shape, tuple(a for a, _ in own), tuple(n for _, n in own)) for own in cut)[:-1]",
        "tests/attacks/test_large_tensors.py",
        "any_cell",
    ),
    "join of openings": mutant(
        "commitment/hyrax",
        "[(w, scalars)], 0, len(scalars))",
        "[(1, scalars)], 0, len(scalars))",
        "tests/attacks/test_large_tensors.py",
        "openings_in_parts",
    ),
    "lookup": mutant(
        "subprotocols/logup_gkr",
        'session.t.challenges("lookup", 2)',
        '(session.t.challenges("lookup", 2), (3, 1000))[1]',
        ATTACKS,
        "test_challenge and drawn and lookup",
    ),
    "lookup drawn early": Mutant(
        "zkcore/subprotocols/logup_gkr.py",
        (
            (
                "        tables = _tables(relations)\n        for table in tables:\n            mine",
                '        gamma, beta = session.t.challenges("lookup", 2)\n'
                "        tables = _tables(relations)\n        for table in tables:\n            mine",
            ),
            ('        gamma, beta = session.t.challenges("lookup", 2)\n        fractions', "        fractions"),
        ),
        ATTACKS,
        "drawn_in_time",
    ),
    "definitions": known("subprotocols/logup_gkr", "definitions", 1),
    "definition lookup": mutant(
        "subprotocols/logup_gkr",
        'session.t.challenges("definition lookup", 3)',
        '(session.t.challenges("definition lookup", 3), (3, 1000, 1))[1]',
        ATTACKS,
        "test_challenge and drawn and lookup",
    ),
    "layer batch": known("subprotocols/fraction_tree", "layer batch", 1),
    "halves": known("subprotocols/fraction_tree", "halves", 3),
    "tlookup inverses": mutant(
        "subprotocols/tlookup",
        'session.t.challenges("lookup", 2)',
        '(session.t.challenges("lookup", 2), (3, 1000))[1]',
        ATTACKS,
        "test_challenge and drawn and inverses",
    ),
    "tlookup equations batch": known("subprotocols/tlookup", "equations", 1),
    "fold": known("transcript/blind", "fold", 1),
    "matrix batch": known("transcript/blind", "matrix batch", 1),
    "constraint point": mutant(
        "transcript/blind",
        'wire.challenge("constraint point") for',
        '(wire.challenge("constraint point") and 1) for',
        ATTACKS,
        "test_challenge and drawn and constraint",
    ),
    "scale": mutant(
        "transcript/inner_product",
        'wire.challenge(f"{label} scale")',
        '(wire.challenge(f"{label} scale") and 5)',
        ATTACKS,
        "inner_product_challenge and drawn and scale",
    ),
    "halving": mutant(
        "transcript/inner_product",
        'wire.challenge(f"{label} halving")',
        '(wire.challenge(f"{label} halving") and 4)',
        ATTACKS,
        "inner_product_challenge and drawn and halving",
    ),
    "answer": mutant(
        "transcript/inner_product",
        'wire.challenge(f"{label} answer")',
        '(wire.challenge(f"{label} answer") and 9)',
        ATTACKS,
        "inner_product_challenge and drawn and answer",
    ),
    # the blind argument
    "product constraint": mutant(
        "transcript/transcript",
        "self._ledger.tape.products.append((a.node, b.node, product.node))",
        "self._ledger.tape.zeros.append(linear([(0, a), (0, b), (0, product)]).node)",
        ATTACKS,
        "tampered_products",
    ),
    "last product": mutant(
        "transcript/transcript",
        "tape.products.append((left.node, b.node, right.node))",
        "tape.zeros.append(linear([(0, left), (0, b), (0, right)], tape).node)",
        ATTACKS,
        f"{GUARD} and hiding",
    ),
    "constraints": mutant(
        "transcript/blind",
        'wire.require_equal("constraints",',
        '(lambda *_: None)("constraints",',
        ATTACKS,
        "each_equation or every_element",
    ),
    "matrices": mutant(
        "transcript/blind",
        'wire.require_equal("matrices",',
        '(lambda *_: None)("matrices",',
        ATTACKS,
        "each_equation or every_element",
    ),
    "error row": mutant(
        "transcript/blind",
        "wire.require_group_zero(label,",
        "(lambda *_: None)(label,",
        ATTACKS,
        "each_equation or every_element",
    ),
    "witness row": mutant(
        "transcript/blind",
        'inner_product.prove(wire, "witness row", instance)',
        "instance",
        ATTACKS,
        "each_equation or every_element",
    ),
    "mask kept in its place": Mutant("zkcore/transcript/blind.py", FOLDED_MASK, ATTACKS, "mask_cannot_shift"),
    "group equation": mutant(
        "transcript/inner_product",
        "wire.require_group_zero(label,",
        "(lambda *_: None)(label,",
        ATTACKS,
        f"{GUARD} and weight",
    ),
    "equations are decided": mutant("transcript/equations", "if not stated:", "if stated:", EQUATIONS, ""),
    "coefficients of equations": mutant(
        "transcript/equations", 'sponge.challenge("equation")', "1", EQUATIONS, "cancel"
    ),
    "coefficients bind every transcript": mutant(
        "transcript/equations", 'sponge.absorb("transcript", side.state)', "None", EQUATIONS, "depend"
    ),
    "points of equations are checked": mutant(
        "transcript/equations",
        'raise ProofRejected("bad point", str(e)) from None',
        "pass",
        EQUATIONS,
        "points",
    ),
    "value of an inner product": mutant(
        "transcript/inner_product", "unit_scalar -= e * c * instance.value", "pass", ATTACKS, "test_inner_product"
    ),
    "tensors' own generators": mutant("commitment/hyrax", "TENSOR, 1 <<", "MESSAGE, 1 <<", ATTACKS, "of_their_own"),
    "a table's rows": mutant(
        "relation", "if not np.array_equal(made[0], ", "if False and np.array_equal(made[0], ", REFUSED, "first_column"
    ),
    "points apart": mutant(
        "transcript/equations", "if len(part[0]) < APART", "if 1 < len(part[0]) < APART", EQUATIONS, "is_named"
    ),
    "which of several": mutant("verifier", "e.about = name", "e.about = str()", OPENED, "that_fails_is_named"),
    "dead messages": mutant("transcript/transcript", "if dead:", "if False:", TRANSCRIPT, "dead"),
    "seal": mutant("transcript/transcript", "        if self._finished:", "        if False:", TRANSCRIPT, "seals"),
    "prover's refusal": mutant("transcript/channel", "raise WitnessError(guard)", "return", TRANSCRIPT, "refuses"),
    # the wire
    "absorb": mutant(
        "transcript/wire", "self.sponge.absorb(label, data)", "None", TRANSCRIPT, "every_byte or bound or order"
    ),
    "absorb, one end only": mutant(
        "transcript/wire",
        "self.sponge.absorb(label, data)",
        "self.sponge.absorb(label, data[:1])",
        TRANSCRIPT,
        "every_byte",
    ),
    "absorb weights": mutant("transcript/wire", 'self.sponge.absorb("adopt", data)', "None", TRANSCRIPT, "bound"),
    "statement": mutant(
        "transcript/transcript", 'self._sponge.absorb("statement", statement)', "None", ATTACKS, "statement_reaches"
    ),
    "mode": mutant("transcript/transcript", 'b"hiding" if hiding else b"clear"', 'b"any"', TRANSCRIPT, "mode"),
    "framing": Mutant(
        "zkcore/transcript/sponge.py",
        (("_size(len(data)), data))", "data))"), ("_size(len(label.encode())) + label", "label")),
        TRANSCRIPT,
        "framing",
    ),
    "labels": mutant("transcript/sponge", "state, _frame(label), _size", "state, _size", TRANSCRIPT, "framing"),
    "chaining": mutant(
        "transcript/sponge",
        "(_size(len(state)), state, _frame(label)",
        "(_frame(label)",
        TRANSCRIPT,
        "framing or bound",
    ),
    "canonical scalars": mutant(
        "transcript/wire", "if any(v >= MODULUS for v in values):", "if False:", BYTES, "second_encoding"
    ),
    "trailing bytes": mutant("transcript/channel", "if self._at != len(self._proof):", "if False:", BYTES, "extended"),
    "short proofs": mutant(
        "transcript/channel",
        '        if len(data) != size:\n            raise ProofRejected("proof too short", label)',
        "        data = data.ljust(size, bytes(1))",
        BYTES,
        "truncated",
    ),
    # the ledger of errors
    "stated error of claims": mutant(
        "subprotocols/joint", 'session.t.error("claims", count - 1)', "None", SOUNDNESS, "merge or side_by_side"
    ),
    "stated error of a lookup": mutant(
        "subprotocols/logup_gkr", "session.t.error(term, n * ways)", "None", SOUNDNESS, "lookup or inverses"
    ),
    "stated error of the mask's place": mutant(
        "transcript/blind", 'wire.error("blind", 3, num_y)', 'wire.error("blind", 2, num_y)', SOUNDNESS, "blind"
    ),
    # hiding
    "mask": mutant(
        "transcript/blind",
        "*drawn, u2 = wire.channel.blinders(tape.slots + 1)",
        "drawn, [u2] = [0] * tape.slots, wire.channel.blinders(1)",
        HIDDEN,
        "blinder_for_each",
    ),
    "one mask for all": mutant(
        "transcript/blind",
        "*drawn, u2 = wire.channel.blinders(tape.slots + 1)",
        "[m, u2] = wire.channel.blinders(2); drawn = [m] * tape.slots",
        HIDDEN,
        "blinder_for_each",
    ),
    "mask's scale": mutant(
        "transcript/blind",
        "*drawn, u2 = wire.channel.blinders(tape.slots + 1)",
        "drawn, u2 = wire.channel.blinders(tape.slots), 0",
        HIDDEN,
        "blinder_for_each",
    ),
    "blinds of messages": mutant(
        "transcript/transcript", "self.channel.blinders(1)[0]", "0", HIDDEN, "share_nothing or blinder_for_each"
    ),
    "blinds of products": mutant(
        "transcript/blind", "wire.channel.blinders(1)[0] if", "0 if", HIDDEN, "share_nothing or blinder_for_each"
    ),
    "blinds of rows": mutant(
        "transcript/wire",
        "blinds = self.blinders(count)",
        "blinds = self.kernels.from_scalars([0] * count)",
        HIDDEN,
        "guess or blinder_for_each",
    ),
    "one blind for all rows": mutant(
        "transcript/wire",
        "blinds = self.blinders(count)",
        "blinds = np.repeat(self.blinders(1), count, axis=0)",
        HIDDEN,
        "blinder_for_each",
    ),
    "blinds of halvings": mutant(
        "transcript/inner_product",
        "a, b = wire.channel.blinders(2) if",
        "a, b = (0, 0) if",
        HIDDEN,
        "share_nothing or blinder_for_each",
    ),
    "one nonce for both": mutant(
        "transcript/inner_product",
        "a, b = wire.channel.blinders(2) if",
        "a, b = wire.channel.blinders(1) * 2 if",
        HIDDEN,
        "blinder_for_each",
    ),
    "system's randomness": mutant(
        "transcript/channel", "noise = os.urandom(64 * count)", "noise = bytes(64 * count)", HIDDEN, "operating_system"
    ),
    "system's randomness is in them": mutant(
        "transcript/channel", 'int.from_bytes(noise, "big") ^ int', "int", HIDDEN, "share_nothing or operating_system"
    ),
    "hedge is in them": mutant("transcript/channel", ' ^ int.from_bytes(pad, "big")', "", HIDDEN, "hedged"),
    "hedge": mutant(
        "transcript/channel", "self._hedge = hashlib.sha512(self._hedge + data).digest()", "None", HIDDEN, "hedged"
    ),
    "counter of blinders": mutant("transcript/channel", 'self._drawn.to_bytes(8, "big")', 'b""', HIDDEN, "hedged"),
    "lookups of later trees": mutant(
        "backward",
        "self.argument.check(session, [r for r in relations if r.group == group], group)",
        "k or self.argument.check(session, [r for r in relations if r.group == group], group)",
        RANGES,
        "rejected_by_its_own_tree",
    ),
}


def copy(target: Path) -> None:
    for name in COPIED:
        source, there = ROOT / name, target / name
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, there)
    (target / "conftest.py").write_text(CONFTEST)


def pytest(folder: Path, tests: str, select: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", *tests.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run(
        [*command, *(["-k", select] if select else [])], cwd=folder, capture_output=True, text=True, env=environment
    )


def verdict(m: Mutant, folder: Path) -> str:
    """Which test kills the mutant; SURVIVED if none does."""
    path = folder / m.file
    text = mutated = path.read_text()
    for old, new in m.edits:
        if mutated.count(old) == 0:
            return f"SURVIVED (update the table: not found in {m.file}: {old})"
        mutated = mutated.replace(old, new)
    path.write_text(mutated)
    try:
        run = pytest(folder, m.tests, m.select)
    finally:
        path.write_text(text)
    if run.returncode == 1:
        failed = re.findall(r"^(?:FAILED|ERROR) (?:\S+?::)?(.+?)(?: - .*)?$", run.stdout, re.M)
        return f"killed by {failed[0]}"
    return "SURVIVED" if run.returncode == 0 else f"SURVIVED (no test ran: {run.stdout[-300:]})"


def control(chosen: dict[str, Mutant], folder: Path) -> None:
    """Without a mutation, all the tests pass."""
    for tests in dict.fromkeys(m.tests for m in chosen.values()):
        selected = " or ".join(f"({m.select})" for m in chosen.values() if m.tests == tests and m.select)
        run = pytest(folder, tests, selected)
        if run.returncode:
            raise SystemExit(f"the tests fail without a mutation:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")


def main(parts: list[str]) -> int:
    chosen = {n: m for n, m in MUTANTS.items() if not parts or any(p in n for p in parts)}
    with tempfile.TemporaryDirectory() as base, ThreadPoolExecutor(2) as pool:
        folders = [Path(base) / str(i) for i in range(2)]
        for folder in folders:
            copy(folder)
        controlled = pool.submit(control, chosen, folders[0])
        controlled.result()
        free = list(folders)

        def go(item: tuple[str, Mutant]) -> tuple[str, str]:
            folder = free.pop()
            try:
                return item[0], verdict(item[1], folder)
            finally:
                free.append(folder)

        results = {}
        for name, outcome in pool.map(go, chosen.items()):
            results[name] = outcome
            print(f"{name:32s}{outcome}", flush=True)
    survivors = [n for n, outcome in results.items() if outcome.startswith("SURVIVED")]
    print(f"{len(results) - len(survivors)} of {len(results)} killed")
    return bool(survivors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
