#!/usr/bin/env bash
# Measures `tessera embed` over a folder of JPEGs of mixed sizes with a ViT-B/16 of random weights,
# and decoding and resizing by size against Pillow; writes bench/results/images.md.
#
#   scripts/bench_images.sh [COUNT] [BUILD]     default: 200 images, build/bench
#
# Needs python3-pil and python3-numpy. Run it on an idle machine; about two minutes.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
count=${1:-200}
build=${2:-build/bench}
if [ "$build" = build/bench ]; then
  stage "Packages for the benchmarks" scripts/install_dependencies.sh build bench
  stage "Configure preset bench" configure bench
  stage "Build with $JOBS jobs" \
    cmake --build --preset bench --parallel "$JOBS" --target tessera random_checkpoint
fi
tessera=$ROOT/$build/tessera/tessera
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

settings='{"image_processor_type": "ViTImageProcessor", "size": 224}'
"$build/bench/random_checkpoint" ViT-B16 "$work/vit-b"
echo "$settings" >"$work/vit-b/preprocessor_config.json"
cp -r tests/golden/data/vit-model "$work/tiny"
echo "$settings" >"$work/tiny/preprocessor_config.json"
scripts/bench_images.py make "$work" "$count"

# statistics FLAGS...: what --stats says about the mixed folder, without the line of loading
statistics() {
  taskset -c "$1" "$tessera" embed "$work/vit-b" "$work/photos" --stats -o /dev/null "${@:2}" 2>&1
}
field() { sed -nE "s/$1/\1/p"; }
row() { # NAME CPUS FLAGS...
  local text
  text=$(statistics "${@:2}")
  printf '| %s | %s | %s | %s | %s |\n' "$1" \
    "$(field '.* ([0-9.]+) images\/s.*' <<<"$text")" \
    "$(field '^in the encoder ([0-9.]+) %.*' <<<"$text")" \
    "$(field '^outside the encoder ([0-9.]+) %.*' <<<"$text")" \
    "$(field '^loading ([0-9.]+) ms.*' <<<"$text")"
}

{
  echo "# Image files to embeddings"
  echo
  echo "\`scripts/bench_images.sh $count\` on $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(date -u +%F). \`tessera embed --stats\`, ViT-B/16 at 224 (f32, random weights), $(find "$work/photos" -type f | wc -l) JPEGs of 320 x 240 to 4032 x 3024 in one folder."
  echo
  echo "| how | images/s | % of the time in the encoder | % outside | loading, ms of CPU an image |"
  echo "|---|---|---|---|---|"
  row "1 thread, loaders on a second CPU" 0,1 --threads 1 --loaders 1
  row "1 thread, everything on one CPU" 0 --threads 1 --loaders 1
  row "2 threads, loaders beside them" 0,1 --threads 2
  echo
  echo "Time in the encoder is wall time of its calls; on one CPU the loaders run during them, so that its share holds theirs: compare images/s and the last column."
  echo
  echo "Decoding and resizing to 224 x 224 (bilinear), ms of CPU per image, best of 5 passes over 8 JPEGs (quality 85):"
  echo
  echo "| size | decode | resize | Pillow 9.4 decode | Pillow 9.4 resize |"
  echo "|---|---|---|---|---|"
  scripts/bench_images.py pillow "$work" | while read -r size decode resize; do
    for _ in 1 2 3 4 5; do
      "$tessera" embed "$work/tiny" "$work/by-size/$size" --interpolate-positions --threads 1 \
        --loaders 1 --stats -o /dev/null 2>&1 |
        sed -nE 's/^loading .*decode ([0-9.]+), resize ([0-9.]+)$/\1 \2/p'
    done | awk -v size="$size" -v d="$decode" -v r="$resize" '
      NR == 1 || $1 < a { a = $1 } NR == 1 || $2 < b { b = $2 }
      END { printf "| %s | %.2f | %.2f | %s | %s |\n", size, a, b, d, r }'
  done
} >"$work/images.md"
cp "$work/images.md" bench/results/images.md
cat bench/results/images.md
