"""The example plugin, installed as a user would install it, and used from YAML: zkcore itself knows nothing of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "third_party_plugin"
CONFIG = """
plugins: [gelu]
commitment: {log_width: 6}
model: {table_bits: 12, activation_bits: 12, attention: {tile: 16}}
calibration: {tokens: 64, window: 32}
"""
TEXT = "A plugin in twenty minutes, and a proof of what it computes. " * 4

# Everything below runs in processes of its own: this one must not learn of the plugin.
MAKE_MODEL = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
torch.manual_seed(1)
config = LlamaConfig(vocab_size=256, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                     max_position_embeddings=256, hidden_act="gelu", bos_token_id=None, eos_token_id=None,
                     initializer_range=0.3)
LlamaForCausalLM(config).save_pretrained(sys.argv[1])
PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(sys.argv[1])
"""


def python(*argv: str, site: Path | None, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(p) for p in (ROOT, site) if p)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *argv], capture_output=True, text=True, env=environment, cwd=cwd)


def zkcore(*argv: str | Path, site: Path | None) -> tuple[int, dict[str, Any]]:
    """Exit code, and the last thing it said."""
    done = python("-m", "zkcore", "--json", *(str(a) for a in argv), site=site)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode, json.loads(said[-1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip put the plugin; built from a copy, since a build leaves things behind."""
    source, target = tmp_path_factory.mktemp("source") / "plugin", tmp_path_factory.mktemp("site")
    shutil.copytree(PLUGIN, source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = python("-m", "pip", "install", *options, "--target", str(target), str(source), site=None)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def place(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GELU model, a commitment to it, and a proof of an answer."""
    place = tmp_path_factory.mktemp("gelu")
    done = python("-c", MAKE_MODEL, str(place / "model"), site=None)
    assert done.returncode == 0, done.stderr
    for name in ("calibration.txt", "heldout.txt"):
        (place / "model" / name).write_text(TEXT)
    (place / "gelu.yaml").write_text(CONFIG)
    (place / "none.yaml").write_text(CONFIG.replace("[gelu]", "[]"))
    commit = ("commit", place / "model", "--config", place / "gelu.yaml", "--out", place / "commitment")
    prove = ("prove", place / "commitment", "--prompt", "Hello", "--max-new-tokens", "3", "--out", place / "a.zkp")
    for command in (commit, prove):
        code, said = zkcore(*command, site=site)
        assert code == 0, said
    return place


def verify(place: Path, site: Path | None) -> tuple[int, dict[str, Any]]:
    arguments: Sequence[str | Path] = ("verify", place / "a.zkp", "--commitment", place / "commitment" / "public.zkc")
    return zkcore(*arguments, "--prompt", "Hello", site=site)


@pytest.fixture
def edited(site: Path, tmp_path: Path) -> Path:
    """A copy of the installed plugin that a test may change."""
    return Path(shutil.copytree(site, tmp_path / "site"))


def test_it_is_listed(site: Path) -> None:
    code, said = zkcore("plugins", site=site)
    wanted = {"name": "gelu", "distribution": "zkcore-gelu", "version": "0.1.0", "target": "zkcore_gelu"}
    assert code == 0
    assert wanted in said["installed"]


@pytest.mark.slow
def test_a_proof_with_it_is_accepted_and_says_so(place: Path, site: Path) -> None:
    code, said = verify(place, site)
    assert (code, said["event"], said["prompt"], said["tokens"]) == (0, "accepted", "Hello", 3)
    assert ["gelu", "0.1.0"] in said["plugins"]


@pytest.mark.slow
def test_installed_is_not_enough_it_must_be_named(place: Path, site: Path) -> None:
    options = ("--config", place / "none.yaml", "--out", place / "unused")
    code, said = zkcore("commit", place / "model", *options, site=site)
    assert code == 2
    assert "no mlp op is called 'gelu'; available: " in said["lines"][0]
    assert "silu (from zkcore)" in said["lines"][0]
    assert not (place / "unused").exists()


@pytest.mark.slow
def test_who_verifies_needs_it(place: Path) -> None:
    code, said = verify(place, None)
    assert code == 2
    assert "the plugin 'gelu' is not installed" in said["lines"][0]


@pytest.mark.slow
def test_who_verifies_needs_the_same_version(place: Path, edited: Path) -> None:
    [metadata] = edited.glob("zkcore_gelu-*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 0.1.0", "Version: 0.2.0"))
    code, said = verify(place, edited)
    assert code == 2
    assert "0.2.0" in said["lines"][0]


@pytest.mark.slow
def test_another_table_under_the_same_name_and_version_is_rejected(place: Path, edited: Path) -> None:
    table = edited / "zkcore_gelu" / "table.py"
    source = table.read_text()
    assert "ONE // 2 -" in source
    table.write_text(source.replace("ONE // 2 -", "ONE // 2 + (ONE >> 9) -"))
    code, said = verify(place, edited)
    assert (code, said["kind"]) == (1, "ProofRejected")


@pytest.mark.slow
def test_it_passes_its_own_tests(site: Path, tmp_path: Path) -> None:
    tests = shutil.copytree(PLUGIN / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), site=site, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
