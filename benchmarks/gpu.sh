#!/usr/bin/env bash
# make gpu: builds pysmdl with its CUDA ops, runs the tests on the device, and records benchmarks/results/gpu.csv.
# Needs no network: all that is missing is listed at once. PYTHON names the interpreter; what is built goes to build/gpu.
# benchmarks/gpu.sh ARGUMENTS hands these to the benchmarks' pytest in place of "benchmarks --record".
# PYSMDL_SKIP_TESTS=1 leaves the tests out; CUDAARCHS names what to compile for in place of this machine's device.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
PYTHON=${PYTHON:-python3}
scripts=$("$PYTHON" -c "import sysconfig; print(sysconfig.get_path('scripts'))") && PATH=$PATH:$scripts:/usr/local/cuda/bin

missing=()
for tool in "$PYTHON" cmake ninja nvcc; do
  command -v "$tool" >/dev/null || missing+=("$tool (on PATH)")
done
if command -v "$PYTHON" >/dev/null; then
  modules="numpy torch numba PIL skimage safetensors matplotlib triton transformers pytest scikit_build_core pybind11"
  for module in $modules; do
    "$PYTHON" -c "import sys, importlib.util as u; sys.exit(u.find_spec('$module') is None)" ||
      missing+=("$module (a Python module)")
  done
  case " ${missing[*]:-} " in *" torch "*) ;;
    *) "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' ||
      missing+=("a CUDA device that torch sees") ;;
  esac
fi
if ((${#missing[@]})); then
  echo "make gpu cannot run here. Missing:" >&2
  printf '  %s\n' "${missing[@]}" >&2
  exit 1
fi
for module in torchvision timm pytest_benchmark captum; do
  "$PYTHON" -c "import sys, importlib.util as u; sys.exit(u.find_spec('$module') is None)" ||
    echo "note: without $module; what needs it is skipped or done plainly"
done
workers=$("$PYTHON" -c "import importlib.util as u; print('-n 8' if u.find_spec('xdist') else '')")

# The package goes beside the tree, and from there onto the path: nothing is installed into the interpreter.
rm -rf build/gpu
PYSMDL_CUDA=ON "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --no-index \
  --target build/gpu --config-settings=build-dir=build/gpu-objects \
  --config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES="${CUDAARCHS:-native}" .
export PYTHONPATH="$root/build/gpu${PYTHONPATH:+:$PYTHONPATH}"
# Started outside the tree, so that pysmdl is the package that was just built; other versions warn of other things.
run() {
  (cd build/gpu && "$PYTHON" -m pytest -p no:cacheprovider -c "$root/pyproject.toml" --rootdir "$root" \
    -o filterwarnings=default "$@")
}
(cd build/gpu && "$PYTHON" - <<'PY'
import sys
from pathlib import Path

from pysmdl import _C, _native

here = Path(_C.__file__)
if not here.is_relative_to(Path.cwd()):
    sys.exit(f"make gpu: {sys.executable} imports pysmdl from {here.parent}; uninstall it there, or name another PYTHON")
print("pysmdl", here, _native.require().build_info())
PY
)
if [ -z "${PYSMDL_SKIP_TESTS:-}" ]; then
  # shellcheck disable=SC2086
  run "$root/tests" -m gpu -q $workers || { echo "the tests on the device failed: nothing is timed" >&2; exit 1; }
fi
if (($#)); then run "$@"; else run "$root/benchmarks" --record; fi
"$PYTHON" benchmarks/tables.py
echo "rows are in benchmarks/results/gpu.csv, tables in benchmarks/README.md"
