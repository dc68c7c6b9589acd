#!/usr/bin/env bash
# Generates recinfer/protos/*_pb2.py and *.pyi from protos/*.proto.
#
#   bash scripts/generate_protos.sh            writes them
#   bash scripts/generate_protos.sh --check    writes nothing; exits 1 if the committed ones differ from what would be written
#
# PYTHON names the interpreter that has grpcio-tools (python where unset). The generated code asks for a protobuf runtime at least as new as
# the compiler's, so the version of grpcio-tools is pinned with the development requirements.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python="${PYTHON:-python}"

case "${1:-}" in
  "" | --check) ;;
  *) echo "usage: generate_protos.sh [--check]" >&2; exit 2 ;;
esac

if ! "$python" -c "import grpc_tools" 2>/dev/null; then
  echo "grpcio-tools is missing from $python: install the development requirements, or name another interpreter in PYTHON" >&2
  exit 2
fi

built="$(mktemp -d)"
trap 'rm -rf "$built"' EXIT
# protos/ is mapped to recinfer/protos, so that generated modules import each other as recinfer.protos.<theme>_pb2.
"$python" -m grpc_tools.protoc --proto_path=recinfer/protos=protos --python_out="$built" --pyi_out="$built" protos/*.proto
built="$built/recinfer/protos"

if [[ "${1:-}" != --check ]]; then
  rm -f recinfer/protos/*_pb2.py recinfer/protos/*_pb2.pyi
  cp "$built"/* recinfer/protos/
  echo "wrote $(ls "$built" | wc -l) files to recinfer/protos"
  exit 0
fi

stale=0
for path in "$built"/*; do
  name="$(basename "$path")"
  cmp -s "$path" "recinfer/protos/$name" || { echo "recinfer/protos/$name is not what protos/ generates" >&2; stale=1; }
done
for path in recinfer/protos/*_pb2.py recinfer/protos/*_pb2.pyi; do
  [[ -e "$built/$(basename "$path")" ]] || { echo "$path has no .proto" >&2; stale=1; }
done
if [[ $stale -eq 1 ]]; then
  echo "run: bash scripts/generate_protos.sh" >&2
  exit 1
fi
echo "recinfer/protos is current"
