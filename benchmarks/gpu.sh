#!/usr/bin/env bash
# make gpu: builds pysmdl with its CUDA ops, runs the tests on the device, and records benchmarks/results/gpu.csv.
# Needs no network: all that is missing is listed at once. PYTHON names the interpreter; what is built goes to build/gpu.
# benchmarks/gpu.sh --dry-run only says what would run; benchmarks/gpu.sh ARGUMENTS hands these to the benchmarks' pytest
# in place of the parts below. Parts run in their order, what matters most first, as long as PYSMDL_MINUTES (9) last, the
# building counted in, so that a job of ten minutes ends by itself; rows are written as they come. PYSMDL_SKIP="mixed
# images" leaves parts out, PYSMDL_ONLY="tests" all others. CUDAARCHS names what to compile for in place of this
# machine's device.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
benchmarks=$root/benchmarks

parts=(tests fill latency mixed dropping compose large images rest)
part() { # what pytest is given for a part
  case $1 in
    tests) given=("$root"/tests/test_{gpu,kernels,class_scores,match_boxes,token_kernels,profiling}.py -m gpu -q) ;;
    fill) given=("$benchmarks/bench_efficiency.py" -k "ViT-L and 32") ;;
    latency) given=("$benchmarks/bench_gpu.py::test_seconds_an_image" "$benchmarks/bench_efficiency.py"
      -k "alone or (49 and not 32 and not CNN and not 7B)") ;;
    mixed) given=("$benchmarks/bench_gpu.py" -k mixed) ;;
    dropping) given=("$benchmarks/bench_token_drop.py" "$benchmarks/bench_gpu.py" -k "evaluations or (LiMA and not alone)") ;;
    compose) given=("$benchmarks/bench_kernels.py" -k "compose and (awkward or typical)") ;;
    large) given=("$benchmarks/bench_efficiency.py" -k "7B") ;;
    images) given=("$benchmarks/bench_gpu.py::test_images_from_disk") ;;
    rest) given=("$benchmarks/bench_kernels.py" "$benchmarks/bench_engine.py" "$benchmarks/bench_growth.py"
      "$benchmarks/bench_efficiency.py") ;;
  esac
}
for name in ${PYSMDL_SKIP:-} ${PYSMDL_ONLY:-}; do
  [[ " ${parts[*]} " == *" $name "* ]] || { echo "make gpu: no part $name; there are: ${parts[*]}" >&2; exit 2; }
done
chosen=()
for name in "${parts[@]}"; do
  [[ " ${PYSMDL_SKIP:-} " == *" $name "* ]] && continue
  [[ -n ${PYSMDL_ONLY:-} && " $PYSMDL_ONLY " != *" $name "* ]] && continue
  chosen+=("$name")
done
if [ "${1:-}" = --dry-run ]; then
  for name in ${chosen[@]+"${chosen[@]}"}; do
    part "$name"
    echo "$name: pytest ${given[*]/#$root\//}"
  done
  exit
fi
PYTHON=${PYTHON:-python3}
scripts=$("$PYTHON" -c "import sysconfig; print(sysconfig.get_path('scripts'))") && PATH=$PATH:$scripts:/usr/local/cuda/bin

missing=()
for tool in "$PYTHON" cmake ninja nvcc; do
  command -v "$tool" >/dev/null || missing+=("$tool (on PATH)")
done
if command -v "$PYTHON" >/dev/null; then
  modules="numpy torch numba PIL skimage safetensors matplotlib rich triton transformers pytest"
  modules+=" pip scikit_build_core pybind11"
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
  (cd build/gpu && timeout --signal=INT --kill-after=20 "${left:-0}" "$PYTHON" -m pytest -p no:cacheprovider \
    -c "$root/pyproject.toml" --rootdir "$root" -o filterwarnings=default "$@")
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
deadline=$((60 * ${PYSMDL_MINUTES:-9}))
failed=()
for name in ${chosen[@]+"${chosen[@]}"}; do
  part "$name"
  left=$((deadline - SECONDS))
  ((left > 0)) || { echo "no time left for $name"; continue; }
  if [ "$name" = tests ]; then
    # shellcheck disable=SC2086
    run "${given[@]}" $workers || { echo "the tests on the device failed: nothing is timed" >&2; exit 1; }
  elif ((! $#)); then
    echo "== $name, with $left seconds left"
    run "${given[@]}" --record || failed+=("$name")
  fi
done
if (($#)); then left=0 && run "$@"; fi
"$PYTHON" benchmarks/tables.py
echo "rows are in benchmarks/results/gpu.csv, tables in benchmarks/README.md"
((! ${#failed[@]})) || { echo "not all of these ran to their end: ${failed[*]}" >&2; exit 1; }
