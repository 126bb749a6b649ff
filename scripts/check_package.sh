#!/bin/sh
# Builds sdist and wheel into dist/, installs the wheel into an empty environment without torch, and verifies there a proof
# that this environment made. With PROVE=1 also installs the extra `prove` (torch, as requirements.lock has it) and runs the demo.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
bin=$root/.venv/bin
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
PATH=$bin:$PATH
cd "$root"
rm -rf dist
"$bin/python" -c 'import scikit_build_core.build as b; print(b.build_sdist("dist"))'
"$bin/python" -m pip wheel --quiet --disable-pip-version-check -C cmake.define.ZKCORE_CUDA=OFF --no-deps -w dist \
  dist/zkcore-*.tar.gz # in an environment of its own, with what pyproject.toml asks for, as `pip install .` does
"$bin/zkcore" --quiet demo --out "$place/demo" >/dev/null

python3 -m venv "$place/clean" 2>/dev/null || "$bin/python" -m venv "$place/clean"
clean=$place/clean/bin
cd "$place"
"$clean/python" -m pip install --quiet --disable-pip-version-check "$root"/dist/zkcore-*.whl
"$clean/python" -c 'import importlib.util as u, sys; sys.exit("torch is there" if u.find_spec("torch") else 0)'
"$clean/zkcore" --quiet verify demo/answer.zkp --commitment demo/commitment/public.zkc
"$clean/zkcore" --quiet verify demo/answer.tampered.zkp --commitment demo/commitment/public.zkc 2>/dev/null && exit 1
"$clean/zkcore" --quiet demo 2>&1 | grep -q "zkcore\[prove\]" || { echo "demo without torch must name the extra"; exit 1; }
if [ "${PROVE:-}" ]; then
  "$clean/python" -m pip install --quiet --disable-pip-version-check -c "$root/requirements.lock" \
    "zkcore[prove] @ file://$(ls "$root"/dist/zkcore-*.whl)"
  "$clean/zkcore" --quiet demo
fi
echo "sdist and wheel are fine: $(ls "$root/dist")"
