#!/usr/bin/env bash
# Do two builds of the tool give the same bits? Runs every golden case (tests/golden/data, and
# ../shared/conformance where it is present) and the shipped checkpoints with both, at every
# instruction set level that this CPU has, and compares the bytes of what they write.
#
#   scripts/compare_outputs.sh TOOL_BEFORE TOOL_AFTER
#
# The last line counts cases; the exit status is 1 if any differs, or if none was compared.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ $# -eq 2 ] || fail "got $# arguments, expected TOOL_BEFORE TOOL_AFTER"
before=$(readlink -f "$1") after=$(readlink -f "$2")
cd "$ROOT"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/glyphs"
tar -xf models/demo/data/glyphs.tar -C "$work/glyphs"
same=0 different=0 refused=0

# compare NAME ARGUMENTS...: of the tool; it writes to @OUT@.
compare() {
  local name=$1 tool status=() n=0
  shift
  for tool in "$before" "$after"; do
    n=$((n + 1))
    rm -f "$work/$n"
    if TESSERA_ISA=$isa "$tool" "${@//@OUT@/$work/$n}" >"$work/$n.text" 2>/dev/null </dev/null; then
      status[n]=0
    else
      status[n]=$?
    fi
    [ -e "$work/$n" ] || cp "$work/$n.text" "$work/$n"
  done
  if [ "${status[1]}" != 0 ] && [ "${status[1]}" = "${status[2]}" ]; then
    refused=$((refused + 1))
  elif [ "${status[1]}" = "${status[2]}" ] && cmp -s "$work/1" "$work/2"; then
    same=$((same + 1))
  else
    different=$((different + 1))
    say "differs at $isa: $name"
  fi
}

for isa in baseline avx2 avx512; do
  case $isa in
    avx2) grep -qw avx2 /proc/cpuinfo || continue ;;
    avx512) grep -qw avx512vl /proc/cpuinfo || continue ;;
  esac
  for folder in tests/golden/data ../shared/conformance ../shared/checkpoints; do
    [ -d "$folder" ] || continue
    while IFS= read -r config; do
      model=$(dirname "$config")
      while IFS= read -r inputs; do
        compare "$model" run "$model" --threads 1 --input "$inputs" --output @OUT@
      done < <(find "$model" -maxdepth 1 -name '*input*.safetensors' | LC_ALL=C sort)
    done < <(find "$folder" -name config.json | LC_ALL=C sort)
  done
  # Vision checkpoints come without an image processor: one of their size.
  while IFS= read -r config; do
    model=$work/vision
    rm -rf "$model" && cp -r "$(dirname "$config")" "$model"
    size=$(grep -oE '"image_size": *[0-9]+' "$config" | grep -oE '[0-9]+' | tail -n 1)
    printf '{"image_processor_type": "ViTImageProcessor", "size": {"height": %d, "width": %d}}\n' \
      "$size" "$size" >"$model/preprocessor_config.json"
    for output in last_hidden_state pooler_output logits image_embeds; do
      compare "$config $output" embed "$model" "$work"/glyphs/glyphs/[0-3]-00.png --threads 1 \
        --output-name "$output" --format npy -o @OUT@
    done
  done < <(find tests/golden/data ../shared/conformance -name config.json -exec grep -lE '"image_size"' {} + 2>/dev/null |
    LC_ALL=C sort)
  for model in models/demo/text models/demo/text-sections; do
    compare "$model" embed "$model" README.md --threads 1 --format npy -o @OUT@
  done
  compare models/demo/text-sections classify models/demo/text-sections README.md --threads 1
  compare models/demo/vision embed models/demo/vision "$work/glyphs/glyphs" --threads 1 --format npy -o @OUT@
done
say "$same outputs are the same, $different differ, $refused are refused by both"
[ "$different" -eq 0 ] && [ "$same" -gt 0 ]
