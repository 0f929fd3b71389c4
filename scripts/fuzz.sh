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

configure fuzz -DTESSERA_BUILD_TESTS=OFF # they need the group test
nice -n 5 cmake --build --preset fuzz --parallel "$JOBS" --target "${names[@]}" >build/fuzz.build.log 2>&1 ||
  { tail -n 20 build/fuzz.build.log >&2; fail "the fuzzers do not build (build/fuzz.build.log)"; }

# fuzz NAME: one fuzzer for its time; the line about it, and exit status 1 if it found something.
fuzz() {
  local name=$1 program=build/fuzz/tests/fuzz/$1 dictionary=tests/fuzz/$1.dict
  local corpus=build/fuzz/corpus/$1 findings=build/fuzz/findings/$1
  local log=$findings.log begin=$SECONDS result=clean
  rm -rf "$findings"
  mkdir -p "$corpus" "$findings"
  "$program" --seeds "$corpus" || {
    say "$name: FOUND nothing to begin with"
    return 1
  }
  local options=(-max_total_time="$seconds" -rss_limit_mb="$rss_mb" -timeout="$unit_seconds"
    -print_final_stats=1 -report_slow_units="$slow_seconds" -artifact_prefix="$findings/" -max_len=8192)
  [ ! -f "$dictionary" ] || options+=(-dict="$dictionary")
  nice -n 5 "$program" "${options[@]}" "$corpus" >"$log" 2>&1 || result="FOUND ($log)"
  local slow runs reached cov ft
  slow=$(find "$findings" -name 'slow-unit-*' | wc -l)
  [ "$slow" -eq 0 ] || result="$result, $slow slow ($findings)"
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # "#1234 DONE   cov: 56 ft: 78 corp: ..."; of the last such line, whatever it is of.
  reached=$(sed -n 's/^#[0-9].* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 \2/p' "$log" | tail -n 1)
  read -r cov ft <<<"${reached:-? ?}"
  printf '%-24s %10s runs %6s cov %6s ft %5d s  %s\n' "$name" "${runs:-?}" "$cov" "$ft" \
    $((SECONDS - begin)) "$result"
  [ "$result" = clean ]
}

# As many at once as there are CPUs.
found=0 running=0
for name in "${names[@]}"; do
  if [ "$running" -ge "$JOBS" ]; then
    wait -n || found=1
    running=$((running - 1))
  fi
  fuzz "$name" &
  running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
  wait -n || found=1
  running=$((running - 1))
done
exit $found
