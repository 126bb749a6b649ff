#!/bin/sh
# Builds the engine into build/dev and puts it where `import zkcore._engine` finds it. Arguments go to cmake;
# the CUDA part is built with -DZKCORE_CUDA=AUTO.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3)
PATH=$(dirname "$python"):$PATH
mkdir -p "$root/build"
cmake -S "$root/csrc" -B "$root/build/dev" \
  -DCMAKE_BUILD_TYPE=Release -DZKCORE_CUDA=OFF -DPython_EXECUTABLE="$python" "$@" >"$root/build/dev.log" 2>&1 \
  || { cat "$root/build/dev.log" >&2; exit 1; }
cmake --build "$root/build/dev" -j2 --target _engine
# Moved into place, not copied over: a running process may have the old one mapped.
for built in "$root"/build/dev/_engine*.so; do
  cp "$built" "$root/zkcore/.new_engine.so"
  rm -f "$root"/zkcore/_engine*.so
  mv "$root/zkcore/.new_engine.so" "$root/zkcore/$(basename "$built")"
done
