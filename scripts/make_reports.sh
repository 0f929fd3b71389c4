#!/usr/bin/env bash
# Writes the reports under docs/reports/ anew: the text checkpoint that ships, and a BERT-base of random
# weights (values change neither bytes nor time). Plots also as SVG files, and README's picture.
#
#   scripts/make_reports.sh
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

stage "Packages" scripts/install_dependencies.sh build bench report
stage "Configure" configure release -DTESSERA_BUILD_BENCH=ON
stage "Build" cmake --build --preset release --parallel "$JOBS" --target tessera random_checkpoint

out=docs/reports
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/plots"
stage "BERT-base with random weights" build/release/bench/random_checkpoint BERT-base "$work/bert-base"

# report NAME MODEL OPTION...
report() {
  local name=$1 model=$2
  shift 2
  build/release/tessera/tessera report "$model" --threads 1 -o "$out/$name.html" --plots "$work/$name" "$@"
  sed -i -E 's#\(/[^)]*/rates-[^)]*\)#(measured)#' "$out/$name.html" # a path of this machine
  local plot
  for plot in "$work/$name"/*.svg; do
    cp "$plot" "$out/plots/$name.$(basename "$plot")"
  done
}
stage "Report of the shipped checkpoint" report demo-text models/demo/text --rows 128 --title "Shipped text checkpoint"
stage "Report of BERT-base" report bert-base "$work/bert-base" --rows 512 --title "BERT-base, random weights"
stage "Screenshots" scripts/check_report.sh --screenshots "$work/shots" "$out/demo-text.html" "$out/bert-base.html"
cp "$work/shots/bert-base.png" "$out/bert-base.png"
du -ch "$out" | tail -1
