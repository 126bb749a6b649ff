"""What an estimate counts is what a proof takes: exactly, for everything that does not depend on the data."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.checkpoints import CONFIG, write_checkpoint
from zkcore import api, prover
from zkcore import config as configuration
from zkcore.bench.synthetic import Shape
from zkcore.cli import main
from zkcore.commitment.layout import Layout
from zkcore.errors import ModelError, OutOfMemory, UsageError
from zkcore.estimation import estimate, group, run, sources
from zkcore.estimation.blank import Blank, Meter, blank
from zkcore.estimation.calibration import Rates
from zkcore.estimation.counting import CountingKernels
from zkcore.estimation.forward import ForwardRates
from zkcore.estimation.run import Counted, count
from zkcore.field import devices, native
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Forms, Kernels
from zkcore.field.room import TreePlan
from zkcore.graph import footprint
from zkcore.models.family import Sequence
from zkcore.models.shapes import SHAPES
from zkcore.subprotocols.fraction_tree import Run

MIB = 1 << 20
EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny-llama"
VARIANTS = {
    "default": "",
    "trees of layers": "strategy: {batching: each_layer}\n",
    "clear": "zero_knowledge: false\n",
    "committed inverses": "lookup: tlookup\n",
    "ternary": "plugins: [ternary]\n",
    "limited": "plugins: [folding]\nstrategy: {name: folding, folded_layers: 1}\nmemory_limit: 1\n",
}


@dataclass
class Case:
    """A proof that was made, and what was counted for the same sequence."""

    place: Path
    owner: prover.Owner
    sequence: Sequence
    proof: prover.Proof
    counted: Counted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Path:
    """Grouped heads, and sizes that are no powers of two."""
    return write_checkpoint(
        tmp_path_factory.mktemp("model"), num_key_value_heads=2, hidden_size=24, num_hidden_layers=2
    )


@pytest.fixture(scope="module", params=VARIANTS)
def case(request: pytest.FixtureRequest, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    place = tmp_path_factory.mktemp("commitment")
    encoding = "model: {encoding: absmean, " if request.param == "ternary" else "model: {"
    (place / "config.yaml").write_text(CONFIG.replace("model: {", encoding) + VARIANTS[request.param])
    api.commit(model, place / "config.yaml", place / "made")
    owner = prover.Owner.load(place / "made")
    sequence = owner.generate(owner.public.codec.encode("The old mill"), 4)
    proof = prover.prove(owner, sequence, b"", api.cache_dir())
    setup = owner.public.setup
    return Case(place / "made", owner, sequence, proof, count(setup, setup.system(sequence)))


def test_bytes_and_hashing_are_exact_in_every_stage(case: Case) -> None:
    for name in ("bytes", "hashed_bytes"):
        assert {s: w[name] for s, w in case.proof.work.items()} == {
            s: c.work[name] for s, c in case.counted.stages.items()
        }
    assert case.counted.bytes == len(case.proof.data) - case.proof.header_bytes


def test_multiplications_are_exact_in_every_stage(case: Case) -> None:
    """Of both kinds together: which integers outgrow 64 bits, and so become field elements, depends on the data. With a
    memory limit integers are of the narrowest type, and what that saves depends on the data as well."""
    limited = case.owner.public.setup.parts.config.memory_limit is not None
    for stage, work in case.proof.work.items():
        counted = case.counted.stages[stage].work
        assert _products(counted) == (pytest.approx(_products(work), rel=0.06) if limited else _products(work)), stage
        near = 0.06 if limited else 0.01
        assert counted["field_mults"] == pytest.approx(work["field_mults"], rel=near, abs=500), stage


def _products(work: dict[str, int]) -> int:
    return work["field_mults"] + work["small_mults"]


def test_group_additions_are_close(case: Case) -> None:
    """They depend on zero digits and empty buckets."""
    real = sum(w["group_adds"] for w in case.proof.work.values())
    assert sum(c.work["group_adds"] for c in case.counted.stages.values()) == pytest.approx(real, rel=0.25)


def test_values_rows_and_lookups_are_exact(case: Case) -> None:
    setup = case.owner.public.setup
    system = setup.system(case.sequence)
    own = system.of_kind("committed")
    on_the_way = {"multiplicity", "pushforward", "inverse"}
    assert sum(n for k, n in case.counted.committed.items() if k not in on_the_way) == system.committed_values()
    assert case.counted.lookups == system.lookups()
    rows = sum(len(Layout(x.shape, setup.parts.scheme.log_width).row_ids) for x in own)
    assert 48 * rows == case.proof.work["commit"]["bytes"]
    assert case.counted.rows > rows  # what the lookup argument commits comes later
    assert case.counted.weights == sum(math.prod(w.shape) for w in setup.weights().values())
    assert 48 * case.counted.weight_rows == len(case.owner.public.rows)


def test_a_commitments_range_proof_is_exact(case: Case) -> None:
    setup = case.owner.public.setup
    assert count(setup, setup.certificate()).bytes == len(case.owner.public.certificate)


def test_an_estimate_gives_the_whole_files_size(case: Case) -> None:
    machine = estimate.Machine(Rates({}), ForwardRates(0.0, 0.0, 0.0))
    found = estimate.answer(case.owner.public.setup, case.sequence, machine)
    assert found.header_bytes == case.proof.header_bytes
    assert found.message_bytes + found.header_bytes == len(case.proof.data)
    assert [s.name for s in found.stages] == ["generate", "forward", *case.proof.work]
    assert sum(s.bytes for s in found.stages) == found.message_bytes


def test_an_estimate_keeps_to_a_limit_or_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a CPU's memory, in MiB here; without one a proof holds more."""
    for module in (devices, footprint, run):
        monkeypatch.setattr(module, "GIB", MIB)
    for module in (estimate, run):
        monkeypatch.setattr(module, "resident", lambda: 300 * MIB)
    source = sources.find(str(EXAMPLE), None, None)
    machine, sequence = estimate.Machine(Rates({}), None), source.sequence(256, 1)

    def found(limit: int | None, *, loaded: bool = False) -> estimate.Estimate:
        parts = source.setup.parts
        config = parts.config.model_copy(update={"device": "cpu", "memory_limit": limit})
        return estimate.answer(
            replace(source.setup, parts=replace(parts, config=config)), sequence, machine, loaded=loaded
        )

    limit = 460
    whole, limited = found(None), found(limit)
    assert whole.memory > (limit + 100) * MIB
    assert limited.memory < limit * MIB
    assert limited.message_bytes == whole.message_bytes
    assert limited.counts["field multiplications"] > whole.counts["field multiplications"]
    weights = 4 * whole.counts["weights"]
    assert weights < whole.memory - found(None, loaded=True).memory < 1.1 * weights
    with pytest.raises(OutOfMemory, match=r"memory_limit: \d+ GiB do not suffice for this, \d+ would"):
        found(limit - 100)


@pytest.mark.parametrize(
    ("device", "gpu", "said"), [("cpu", False, "of all that a process"), ("cuda", True, "of a GPU")]
)
def test_what_a_limit_is_of_is_said(device: str, gpu: bool, said: str) -> None:
    config = configuration.parse({"device": device, "memory_limit": 900}, "test")
    assert devices.gpu_meant(config.device) == gpu
    assert f"memory_limit: 900 GiB {said}" in estimate.limit(config)
    assert estimate.limit(configuration.parse({}, "test")) == ""


# --- the engine's verbs, one by one -----------------------------------------------------------------------------------
def test_the_counting_engine_counts_what_the_engine_counts() -> None:
    """A mixture of types, coefficients and sizes."""
    real, counting = native.load(), CountingKernels(Meter())
    for work in (_field_verbs, _sumchecks, _trees):
        before = real.counters()
        work(real)
        found = {k: n - before[k] for k, n in real.counters().items()}
        start = counting.counters()
        work(counting)
        assert {k: n - start[k] for k, n in counting.counters().items()} == found, work.__name__


@pytest.mark.parametrize("plan", [TreePlan(1, 1, 0), TreePlan(2, 2, 0), TreePlan(3, 4, 0), TreePlan(1)], ids=str)
def test_what_is_made_again_is_counted(plan: TreePlan) -> None:
    real, counting = native.NativeKernels(), CountingKernels(Meter())
    found = list[dict[str, int]]()
    for k in (real, counting):
        k.tree_plan = lambda tree: plan  # type: ignore[method-assign]
        before = k.counters()
        _trees(k)
        found.append({name: n - before[name] for name, n in k.counters().items()})
    assert found[0] == found[1]


def _field_verbs(k: Kernels) -> None:
    f = np.zeros((8, 4), dtype=np.uint64)
    z = np.arange(8, dtype=np.int16)
    k.eq_table([5] * 6, 2)
    k.from_ints(z)
    k.from_wide_bytes(bytes(128))
    for column in (z, f):
        k.contract(column, 2, 1, f[:4])
        k.dot(column, f)
        k.dot(f, column)
        k.combine([(1, column), (MODULUS + 1, f), (7, column), (-1, z)], 3, 8)
        k.multiply(column, f)
    k.contract_ternary(np.zeros(8, dtype=np.int8), 2, 1, f[:4])
    k.dot(z, z)
    k.batch_inverse(f)
    k.scatter_add(z.astype(np.int64), f, 9)
    written = Forms()
    written.add(5, [1, 2], [0, 3])
    forms = k.linear_forms(8, written)
    forms.transposed(forms.run(f))


def _sumchecks(k: Kernels) -> None:
    f, z = np.zeros((32, 4), dtype=np.uint64), np.arange(32)
    columns = [f, z, z.astype(np.int8), z.astype(np.int32), z.astype(np.int16)]
    mixed = [(1, (0, 1)), (1, (2,)), (5, (0, 0)), (1, (0,)), (MODULUS - 1, (3, 4)), (2, (2, 4, 0)), (1, ())]
    for terms, degree in ((mixed, 4), ([(1, (0, 1))], 2), ([(1, (2, 3))], 2), ([(3, (1,)), (1, (0, 1))], 3)):
        for point in (None, [9] * 5):
            prover = k.sumcheck(columns, terms, degree + (point is not None), point)
            for r in (2, 3, 4, 5, 6):
                prover.round()
                prover.bind(r)
            prover.finals()


def _trees(k: Kernels) -> None:
    f, z = np.zeros((8, 4), dtype=np.uint64), np.arange(8, dtype=np.int16) + 1
    for runs, size in (
        ([Run(z, 5, [(3, z)])], 3),
        ([Run(z, 5, [(3, z), (1, f)]), Run(f, 2, [(1, z)]), Run(z[:2], 5, [(3, f[:2])])], 6),
        ([Run(z[:1], 5, [(3, z[:1])])], 0),
        ([Run(z[:2], 5, [(3, z[:2])])], 1),
    ):
        tree = k.fraction_tree(runs, size)
        for depth in range(size):
            layer = tree.layer(depth, [3] * depth, 7)
            for r in [5] * depth:
                layer.round()
                layer.bind(r)
            layer.finals()


@pytest.mark.parametrize("magnitude", [7, 2000, 30_000, (1 << 20) - 1])
@pytest.mark.parametrize("rows, width", [(1, 64), (3, 256), (20, 128)])
def test_group_additions_of_evenly_spread_rows(rows: int, width: int, magnitude: int) -> None:
    k = native.load()
    generators, blinder = Generators(k).take("tensor", 256), k.fixed_base(Generators(k).take("blind", 1))
    data = np.random.default_rng(magnitude).integers(-magnitude, magnitude, (rows, width), dtype=np.int64)
    before = k.counters()["group_adds"]
    k.commit_rows(generators, data, k.from_scalars([MODULUS // 3] * rows), blinder)
    real = k.counters()["group_adds"] - before
    assert group.commit_rows(rows, width, magnitude, 1.0) == pytest.approx(real, rel=0.15)


@pytest.mark.parametrize(
    "tensors", [[(1, 64)], [(8, 255)], [(60, 128)], [(8, 256)] * 40, [(1, 256)] * 7, [(700, 253)] * 2]
)
def test_group_additions_of_ternary_rows(tensors: list[tuple[int, int]]) -> None:
    """One tensor after the other: sums that are there are not made again, but for larger ones."""
    k, kept = native.NativeKernels(), group.TernaryRows(256)
    generators, blinder = Generators(k).take("tensor", 256), k.fixed_base(Generators(k).take("blind", 1))
    for i, (rows, width) in enumerate(tensors):
        data = np.random.default_rng(i).integers(-1, 2, (rows, width), dtype=np.int8)
        blinds = k.from_wide_bytes(np.random.default_rng(width).bytes(64 * rows))
        before, held = k.counters()["group_adds"], kept.group
        k.commit_ternary(generators, data, blinds, blinder)
        real = k.counters()["group_adds"] - before
        assert kept.commit(rows, width) == pytest.approx(real, rel=0.1), (i, held, kept.group)


def test_subset_sums_are_counted_exactly() -> None:
    """Rows of zeros leave nothing else to add but blinds, which are zero, too."""
    k, kept = native.NativeKernels(), group.TernaryRows(2048)
    generators, blinder = Generators(k).take("tensor", 2048), k.fixed_base(Generators(k).take("blind", 1))
    for rows, made in ((3, 1), (8, 2), (60, 3), (100, 4), (600, 5)):
        before = k.counters()["group_adds"]
        k.commit_ternary(generators, np.zeros((rows, 2048), dtype=np.int8), k.from_scalars([0] * rows), blinder)
        rowwise = rows * (sum(1 - 3.0**-g for g in [made] * (2048 // made) + [2048 % made]) - 1 + group.fixed_base(1))
        assert k.counters()["group_adds"] - before == round(kept.commit(rows, 2048) - rowwise)
        assert kept.group == made


def test_subset_sums_of_wide_rows_stay_within_their_room() -> None:
    for log_width, g, mebibytes in ((20, 5, 2419), (21, 4, 2112), (23, 2, 2304)):
        kept = group.TernaryRows(1 << log_width)
        kept.commit(100_000, 1 << log_width)
        assert (kept.group, kept.bytes >> 20) == (g, mebibytes)


@pytest.mark.parametrize(("limit", "mebibytes"), [(None, 2323), (10, 960), (1, 96)])
def test_an_estimate_knows_a_gpus_subset_sums(limit: int | None, mebibytes: int) -> None:
    config = configuration.Config.model_validate(
        {"plugins": ("ternary",), "model": {"encoding": "absmean"}, "device": "cuda", "memory_limit": limit}
    )
    setup = Shape.of("llama-2-7b", None, config).setup
    ternary = group.TernaryRows(1 << setup.parts.scheme.log_width)
    assert estimate._kept_sums(setup, ternary) == 0
    ternary.commit(16, ternary.generators)
    assert ternary.generators == 1 << 20
    assert estimate._kept_sums(setup, ternary) >> 20 == mebibytes


# --- arrays without memory --------------------------------------------------------------------------------------------
def test_blank_arrays_take_no_memory_and_are_metered() -> None:
    meter = Meter()
    tracemalloc.start()
    a = blank(meter, (1 << 20, 1 << 14), np.int64, (-5, 9))
    views = [a.reshape(-1), a[5:7], a.T, np.broadcast_to(a, (2, *a.shape)), np.transpose(a)]
    b = np.concatenate([a, a.copy()])
    c = np.pad(a[:3], [(0, 5), (0, 0)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert all(isinstance(v, Blank) for v in views)
    assert a.copy() is a  # it is contiguous already
    assert (a.min(), a.max(), c.filled) == (-5, 9, 3 / 8)
    assert meter.live == a.nbytes + b.nbytes + c.nbytes
    del b, c
    assert meter.live == a.nbytes
    del a
    assert meter.live == views[0].nbytes  # a view keeps what it looks at
    views.clear()
    assert (meter.live, meter.peak > 0) == (0, True)


def test_blank_arrays_behave_in_arithmetic() -> None:
    a = blank(Meter(), (4, 3), np.int32, (0, 6))
    total = np.zeros((4, 3), dtype=np.int64)
    total += a
    assert isinstance(total, Blank)
    assert ((-a).min(), (a != 0).dtype, (a + a).max()) == (-6, np.dtype(bool), 12)
    assert a[np.array([0, 2])].shape == (2, 3)
    assert np.bincount(a.reshape(-1), minlength=7).shape == (7,)
    assert np.where(a > 3, a, 0).shape == (4, 3)
    assert np.sum(a) == 0  # nothing special is said about it: zeros in memory


PUBLISHED = {
    "llama-2-7b": 6.74e9,
    "llama-2-13b": 13.0e9,
    "llama-2-70b": 69.0e9,
    "llama-3-8b": 8.03e9,
    "llama-3-70b": 70.6e9,
    "llama-3-405b": 405.8e9,
    "smollm2-135m": 134.5e6,
    "tinyllama-1.1b": 1.1e9,
    "mistral-7b": 7.25e9,
    "qwen2.5-0.5b": 494e6,
    "qwen2.5-7b": 7.62e9,
    "qwen3-0.6b": 596e6,
    "qwen3-8b": 8.19e9,
    "phi-3-mini": 3.82e9,
    "gemma-2b": 2.51e9,
    "gemma-7b": 8.54e9,
    "gpt2": 124.4e6,
}  # parameters, as their publishers state them


# --- sources ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_has_a_graph(name: str) -> None:
    source = sources.find(name, configuration.parse({}, "test"), None)
    system = source.setup.system(source.sequence(130, 2))
    assert source.assumed
    weights = sum(math.prod(w.shape) for w in source.setup.weights().values())
    assert weights == pytest.approx(PUBLISHED[name], rel=0.03)
    assert system.lookups() > 0


def test_a_large_shape_is_counted_without_memory() -> None:
    source = sources.find("llama-2-7b", configuration.parse({}, "test"), None)
    small = source.setup.architecture.model_copy(update={"layers": 1})
    setup = sources.Setup(source.setup.parts, small, source.setup.quantisation)
    tracemalloc.start()
    counted = count(setup, setup.system(source.sequence(2048, 1)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert counted.memory > 1 << 34
    assert peak < 1 << 28


def test_sources_that_are_none(tmp_path: Path, model: Path) -> None:
    default = configuration.parse({}, "test")
    with pytest.raises(UsageError, match="known shapes: llama-2-7b"):
        sources.find("llama-9", default, None)
    bare, given = (sources.find("llama-2-7b", config, None).setup for config in (None, default))
    assert bare.parts.config == given.parts.config
    with pytest.raises(ModelError, match=r"config\.json"):
        sources.find(str(tmp_path), default, None)
    found = sources.find(str(model), default, None)
    with pytest.raises(UsageError, match="128"):
        found.sequence(129, 1)
    with pytest.raises(UsageError, match="new tokens < length"):
        found.sequence(5, 5)


def test_a_checkpoint_is_calibrated_as_commit_does(case: Case, model: Path) -> None:
    config = case.owner.public.setup.parts.config
    found = sources.find(str(model), config, (model / "calibration.txt").read_text())
    assert found.setup.quantisation == case.owner.public.setup.quantisation
    assert not found.assumed
    assert found.tokenizer == len(case.owner.public.tokenizer)


# --- the command line ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", ["default"], indirect=True)
def test_estimate_from_the_command_line(case: Case, capfd: pytest.CaptureFixture[str]) -> None:
    """Twice: about a commitment, and about a shape that is none."""
    place = str(case.place)
    with pytest.raises(SystemExit) as done:
        main(["--json", "estimate", place, "--seq-len", str(len(case.sequence.tokens)), "--new-tokens", "4"])
    last = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert done.value.code == 0
    assert last["answer"]["message_bytes"] == case.counted.bytes
    assert last["model"]["certificate_bytes"] == len(case.owner.public.certificate)
    size = sum(last["model"][k] for k in ("row_bytes", "certificate_bytes", "other_bytes"))
    assert size == len((case.place / "public.zkc").read_bytes())
    assert not last["assumed_scales"]
    assert all(s["seconds"] > 0 for s in last["answer"]["stages"])
    with pytest.raises(SystemExit) as done:
        main(["estimate", "llama-9", "--seq-len", "64", "--config", str(case.place.parent / "config.yaml")])
    assert done.value.code == 2
    assert "known shapes" in capfd.readouterr().err
