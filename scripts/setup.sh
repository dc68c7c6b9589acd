#!/usr/bin/env bash
# Makes the virtual environment, or brings it up to date, and installs recinfer into it. Safe to run again: it does nothing when
# nothing changed.
#
#   bash scripts/setup.sh               CPU
#   bash scripts/setup.sh --gpu         NVIDIA GPU
#   bash scripts/setup.sh --tensorrt    NVIDIA GPU, and TensorRT, which comes from NVIDIA's index
#
# RECINFER_VENV    where the environment lives (default: .venv in the checkout)
# RECINFER_PYTHON  the Python to make it with (default: the first of python3, python3.13, 3.12, 3.11 that is 3.11 to 3.13)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "setup: $1" >&2
  exit 1
}

platform=cpu
more=()
for argument in "$@"; do
  case $argument in
    --gpu) platform=gpu ;;
    --tensorrt)
      platform=gpu
      more=(requirements/tensorrt.txt)
      ;;
    *) fail "unknown argument $argument (known: --gpu, --tensorrt)" ;;
  esac
done

fits() {
  "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' >/dev/null 2>&1
}

find_python() {
  local candidate
  for candidate in ${RECINFER_PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if fits "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  fail "no Python 3.11 to 3.13 found; install one, or name it: RECINFER_PYTHON=/path/to/python3.11 bash scripts/setup.sh"
}

venv=${RECINFER_VENV:-.venv}
if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv")" ]; then
  fail "$venv is there and is no virtual environment; move it away, or set RECINFER_VENV"
fi
mkdir -p "$(dirname "$venv")"
# Two set-ups at once would write into one environment.
if command -v flock >/dev/null; then
  exec 9>"${venv%/}.lock"
  flock 9
fi

if ! fits "$venv/bin/python"; then
  python=$(find_python)
  echo "setup: making $venv with $("$python" --version)"
  # --clear mends an environment whose Python has gone.
  "$python" -m venv --clear "$venv" || fail "could not make $venv (on Debian and Ubuntu: apt-get install python3-venv)"
fi

requirements=(requirements/$platform.txt ${more[@]+"${more[@]}"} requirements/dev.txt)
stamp=$("$venv/bin/python" - "$PWD" "${requirements[@]}" pyproject.toml <<'PYTHON'
import hashlib, pathlib, sys

digest = hashlib.sha256(" ".join([sys.version, *sys.argv[1:]]).encode())
for path in sys.argv[2:]:
    digest.update(pathlib.Path(path).read_bytes())
print(digest.hexdigest())
PYTHON
)
if [ "$(cat "$venv/recinfer-stamp" 2>/dev/null || true)" = "$stamp" ]; then
  echo "setup: $venv is up to date"
  exit 0
fi

started=$SECONDS
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
rm -f "$venv/recinfer-stamp"
echo "setup: installing torch 2.13.0"
"${pip[@]}" install -qq --constraint "requirements/$platform.txt" torch==2.13.0
echo "setup: installing ${requirements[*]}"
"${pip[@]}" install -qq --no-deps "${requirements[@]/#/--requirement=}"
echo "setup: installing recinfer"
"${pip[@]}" install -qq --no-deps --no-build-isolation --editable .

# torchrec names the CUDA build of fbgemm in its metadata whichever build is there; any other complaint is a wrong pin.
complaints=$("${pip[@]}" check | grep -v -e '^torchrec .* requires fbgemm-gpu, which is not installed' -e '^No broken' || true)
[ -z "$complaints" ] || fail "the pins do not fit together:
$complaints"
echo "$stamp" >"$venv/recinfer-stamp"
echo "setup: $venv is ready ($((SECONDS - started)) s)"
