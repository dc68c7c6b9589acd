#!/usr/bin/env bash
# Sets up the environment if need be, then runs the test suite.
#
#   bash scripts/test.sh                     the suite
#   bash scripts/test.sh --slow              the slow tests too, and those that need a GPU where there is one
#   bash scripts/test.sh --gpu               what needs a GPU, in some minutes; sets the environment up for one
#   bash scripts/test.sh --tensorrt          the same with TensorRT
#   bash scripts/test.sh tests/data -k csv   anything else goes to pytest
#
# The suite runs in two processes of one thread each, which keeps two cores busy: RECINFER_TEST_WORKERS says another
# number. A file's tests stay together, since they share what its fixtures make.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

arguments=()
slow=false
platform=()
for argument in "$@"; do
  case $argument in
    --slow) slow=true ;;
    --gpu | --tensorrt)
      nvidia-smi -L >/dev/null 2>&1 || { echo "test: $argument needs an NVIDIA GPU, and nvidia-smi finds none" >&2; exit 1; }
      platform=("$argument")
      arguments+=(-m "gpu and not slow" tests/export tests/predict tests/train)
      ;;
    *) arguments+=("$argument") ;;
  esac
done

bash "$here/setup.sh" ${platform[@]+"${platform[@]}"}
cd "$here/.."
if $slow; then
  if nvidia-smi -L >/dev/null 2>&1; then marks=""; else marks="not gpu"; fi
  # First, so that a caller's own -m still wins.
  arguments=(-m "$marks" ${arguments[@]+"${arguments[@]}"})
fi
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
workers=(-n "${RECINFER_TEST_WORKERS:-2}" --dist loadfile)
for argument in ${arguments[@]+"${arguments[@]}"}; do
  # A few tests are done before more processes have started.
  case $argument in tests/*) workers=() ;; esac
done
exec "${RECINFER_VENV:-.venv}/bin/python" -m pytest ${workers[@]+"${workers[@]}"} ${arguments[@]+"${arguments[@]}"}
