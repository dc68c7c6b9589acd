#!/usr/bin/env bash
# From nothing to predictions: environment, real data, training, evaluation, export, prediction, and a summary of what came out.
#
#   bash scripts/quickstart.sh
#
# Everything it makes is in quickstart/ and .venv/. Running it again trains afresh; environment and data are kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

config=examples/movielens/deepfm.config
out=quickstart
bin=${RECINFER_VENV:-.venv}/bin
total=7
number=0

# step TITLE COMMAND...: a line before, a line with the duration after; what the command says goes to a log, shown if it fails.
step() {
  local title=$1 started=$SECONDS
  number=$((number + 1))
  local log=$out/logs/$number.log
  shift
  echo "[$number/$total] $title"
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "quickstart: step $number ($title) failed; its output is above and in $log" >&2
    exit 1
  fi
  echo "      done in $((SECONDS - started)) s"
}

evaluate() {
  "$bin/recinfer-eval" --pipeline_config_path "$config" --eval_input_path "$out/data/test" \
    --eval_result_filename "$out/eval.json"
}

export_model() {
  "$bin/recinfer-export" --pipeline_config_path "$config" --export_dir "$out/export"
}

predict() {
  "$bin/recinfer-predict" --scripted_model_path "$out/export" --predict_input_path "$out/data/test" \
    --predict_output_path "$out/predictions" --reserved_columns row_id,user_id,item_id,rating,label --json >"$out/predict.json" &&
    "$bin/recinfer" verify "$out/predictions"
}

mkdir -p "$out/logs"
step "environment in ${RECINFER_VENV:-.venv} (the first time, torch and its friends are downloaded)" bash scripts/setup.sh
step "MovieLens-100K in $out/data" "$bin/python" scripts/get_movielens.py "$out/data"
rm -rf "$out/model" "$out/export" "$out/predictions" "$out/eval.json" "$out/baseline.json" "$out/predict.json"
step "train DeepFM" "$bin/recinfer-train" --pipeline_config_path "$config"
step "evaluate on the newest tenth of the ratings" evaluate
step "logistic regression on the same columns, to compare" \
  "$bin/python" scripts/movielens_baseline.py "$config" --data "$out/data" --output "$out/baseline.json"
step "export" export_model
step "predict, and verify the output" predict
echo
"$bin/python" scripts/quickstart_summary.py "$out"
