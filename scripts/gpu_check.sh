#!/bin/sh
# On a machine with a GPU: builds the engine with its CUDA part for python3, runs the GPU tests and the benchmark.
#   scripts/gpu_check.sh [build | test | bench | sanitize]...      the first three by default
# GPU_ARCH: compute capability (90). OUT: where logs and results go (build/gpu).
set -eu
cd "$(dirname "$0")/.."
export PYTHONPATH=".${PYTHONPATH:+:$PYTHONPATH}"
out=${OUT:-build/gpu}
arch=${GPU_ARCH:-90}
mkdir -p "$out" build/gpu
[ $# -gt 0 ] || set -- build test bench
for step in "$@"; do
  case $step in
    build)
      cmake -S csrc -B build/gpu -G Ninja -DCMAKE_BUILD_TYPE=Release -DZKCORE_CUDA=ON \
        -DZKCORE_CUDA_ARCHITECTURES="$arch" -DPython_EXECUTABLE="$(command -v python3)" >"$out/build.log" 2>&1
      cmake --build build/gpu --target _engine >>"$out/build.log" 2>&1 || { tail -40 "$out/build.log"; exit 1; }
      rm -f zkcore/_engine*.so
      cp build/gpu/_engine*.so zkcore/
      ;;
    test) python3 -m pytest -q -m gpu tests/gpu >"$out/test.log" 2>&1 || true; tail -25 "$out/test.log" ;;
    bench) python3 -m zkcore bench engine --device cuda --out "$out" ${BENCH_FLAGS:-} ;;
    sanitize) # three tools, about a minute each
      for tool in memcheck racecheck initcheck; do
        compute-sanitizer --tool $tool --error-exitcode 9 python3 scripts/gpu_small_proof.py \
          >"$out/$tool.txt" 2>&1 || failed=1
        tail -1 "$out/$tool.txt"
      done
      [ -z "${failed:-}" ] || exit 1
      ;;
    *) echo "unknown step $step"; exit 2 ;;
  esac
done
