#!/usr/bin/env bash
# Builds the fuzzers of tests/fuzz and runs each for a while: a line per fuzzer, exit status 1 if one found
# something. What was found lies in build/fuzz/findings/, the corpora grow in build/fuzz/corpus/.
#
#   scripts/fuzz.sh [SECONDS_PER_FUZZER] [NAME...]      60 s; all fuzzers, or those named (regex, image, ...)
#
#   cov    places in the code (edges) that the corpus reaches at the end
#   ft     libFuzzer's features: edges by how often they are taken, ...
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

seconds=${1:-60}
shift $(($# > 0 ? 1 : 0))
rss_mb=2048       # more than this at once is a finding
unit_seconds=20   # an input that takes longer is a finding
slow_seconds=2    # one that takes longer is kept and counted
sources=(tests/fuzz/*_fuzz.cpp)
[ $# -eq 0 ] || sources=("${@/%/_fuzz.cpp}")
names=()
for source in "${sources[@]}"; do
  name=$(basename "$source" .cpp)
  [ -f "tests/fuzz/$name.cpp" ] ||
    fail "no tests/fuzz/$name.cpp, expected the name of one of tests/fuzz/*_fuzz.cpp, as in image"
  names+=("$name")
done

configure fuzz
nice -n 5 cmake --build --preset fuzz --parallel "$JOBS" --target "${names[@]}" >build/fuzz.build.log 2>&1 ||
  { tail -n 20 build/fuzz.build.log >&2; fail "the fuzzers do not build (build/fuzz.build.log)"; }

found=0
for name in "${names[@]}"; do
  program=build/fuzz/tests/fuzz/$name
  corpus=build/fuzz/corpus/$name findings=build/fuzz/findings/$name
  rm -rf "$findings"
  mkdir -p "$corpus" "$findings"
  "$program" --seeds "$corpus"
  dictionary=tests/fuzz/$name.dict
  options=(-max_total_time="$seconds" -rss_limit_mb="$rss_mb" -timeout="$unit_seconds" -print_final_stats=1
    -report_slow_units="$slow_seconds" -artifact_prefix="$findings/" -max_len=8192)
  [ ! -f "$dictionary" ] || options+=(-dict="$dictionary")
  log=$findings.log begin=$SECONDS result=clean
  nice -n 5 "$program" "${options[@]}" "$corpus" >"$log" 2>&1 || result="FOUND ($log)"
  slow=$(find "$findings" -name 'slow-unit-*' | wc -l)
  [ "$slow" -eq 0 ] || result="$result, $slow slow ($findings)"
  [ "$result" = clean ] || found=1
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # "#1234 DONE   cov: 56 ft: 78 corp: ..."; of the last such line, whatever it is of.
  reached=$(sed -n 's/^#[0-9].* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 \2/p' "$log" | tail -n 1)
  read -r cov ft <<<"${reached:-? ?}"
  printf '%-24s %10s runs %6s cov %6s ft %5d s  %s\n' "$name" "${runs:-?}" "$cov" "$ft" \
    $((SECONDS - begin)) "$result"
done
exit $found
