#!/usr/bin/env bash
# Who may include whom (architecture): kernels <- runtime <- models <- tessera; and which package is
# seen from which place only. Reads #include lines; needs no build.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
problems=$(mktemp)
trap 'rm -f "$problems"' EXIT

# includes FOLDER...: "file:line:header" of each include; our own headers in quotes, however they are
# written, others with the brackets or quotes that they have. What cannot be read is a problem.
includes() {
  local files
  mapfile -t files < <(sources_in "$@")
  [ ${#files[@]} -eq 0 ] && return 0
  grep -nHE '^[[:space:]]*#[[:space:]]*include' "${files[@]}" |
    sed -E -e 's#/\*([^*]|\*[^/])*\*/##g' \
      -e 's/^([^:]*:[0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([<"][^>"]*[>"]).*/\1:\2/' \
      -e 's#:<((kernels|runtime|models|tessera|bench|tests)/[^>]*)>$#:"\1"#' || true
}

# forbid REASON: every "file:line:header" on standard input is a problem.
forbid() { awk -v reason="$1" '{ print $0 " (" reason ")" }' >>"$problems"; }

# only_in PATTERN PLACE PACKAGE: headers that match PATTERN are included by files that match PLACE only.
only_in() {
  includes "${ALL_FOLDERS[@]}" | grep -E ":$1" | grep -vE "^($2)" | forbid "$3 is for $2 only" || true
}

includes "${ALL_FOLDERS[@]}" | grep -vE ':[<"][^<>"]+[>"]$' |
  forbid "cannot be read: a header's name in quotes or brackets is expected" || true

# 1. Direction.
includes kernels | grep ':"' | grep -vE ':"kernels/' | forbid "kernels/ sees kernels/ only" || true
includes runtime | grep ':"' | grep -vE ':"(kernels|runtime)/' | forbid "runtime/ sees kernels/ and runtime/ only" || true
includes models | grep ':"' | grep -vE ':"(kernels|runtime|models)/' | forbid "models/ sees kernels/, runtime/, models/ only" || true
includes tessera | grep ':"' | grep -vE ':"(kernels|runtime|models|tessera)/' | forbid "tessera/ does not see bench/ or tests/" || true

includes tests/abi tests/consumer | grep ':"' | grep -vE ':"(tests/abi/demo\.hpp|tests/support/(temporary|sanitizers)\.hpp|tessera/tessera\.hp{0,2})"' |
  forbid "the tests of the ABI see what is installed" || true
includes examples | grep ':"' | grep -vE ':"tessera/tessera\.hp{0,2}"' |
  forbid "the examples see what is installed" || true
includes tests bench | grep ':"' | grep -vE ':"(kernels|runtime|models|tessera|bench|tests)/' |
  forbid "headers are named from the root, those of tests as tests/..." || true
includes "${ALL_FOLDERS[@]}" | grep -E ':[<"]tessera/tessera\.hpp[>"]' | grep -vE '^(tests/(abi|embedding)|examples)/' |
  forbid "tessera.hpp and the inside have classes of the same names" || true

# The rooms of runtime/, and which a room may see: itself, and these and what these may see.
rooms_of() {
  case $1 in
    base) ;;
    plugins) echo base ;;
    machine | image) echo base ;;
    program) echo base ;;
    threads) echo machine plugins ;;
    weights) echo program ;;
    plan) echo machine program ;;
    execute) echo plan threads weights ;;
    session) echo execute ;;
    meters) echo session ;;
    *) return 1 ;;
  esac
}
# reach ROOM: all that it may see, transitively; fails where the table above has a circle.
reach() {
  local next=("$1") seen=" " room
  while [ ${#next[@]} -gt 0 ]; do
    room=${next[0]}
    next=("${next[@]:1}")
    case $seen in *" $room "*) continue ;; esac
    seen+="$room "
    # shellcheck disable=SC2207  # names without spaces
    next+=($(rooms_of "$room"))
  done
  echo "${seen// /|}" | sed 's/^|//; s/|$//'
}
for folder in runtime/*/; do
  room=$(basename "$folder")
  rooms_of "$room" >/dev/null || fail "runtime/$room is a room that scripts/check_dependencies.sh does not know"
  for other in $(rooms_of "$room"); do
    reach "$other" | grep -qE "(^|\|)$room(\||$)" && fail "rooms $room and $other of runtime/ see each other"
  done
  includes "runtime/$room" | grep ':"runtime/' | grep -vE ":\"runtime/($(reach "$room"))/" |
    forbid "runtime/$room sees $(reach "$room") only" || true
done
find runtime -maxdepth 1 -name '*.[ch]pp' | sed 's/$/:0:""/' | forbid "runtime/ has rooms, no files of its own"
includes runtime/execute | grep ':"runtime/machine/' | forbid "runtime/execute does not look at the machine" || true
# Meters see the rest; of what runs a model nothing sees them.
includes models tessera/pipeline tessera/c_api | grep -E ':"(runtime/meters|tessera/measure)/' |
  forbid "nothing that runs a model sees the meters" || true

# The folders of tessera/: one pipeline, and the interfaces over it (command line, C ABI), which do
# not see each other.
tessera_sees() {
  includes "tessera/$1" | grep ':"tessera/' | grep -vE ":\"tessera/($2)" | forbid "tessera/$1 does not see $3" || true
}
tessera_sees pipeline 'pipeline/' "the doors to it, nor reports"
tessera_sees measure '(pipeline|measure)/' "the doors, nor reports"
tessera_sees report 'report/' "pipeline and doors"
tessera_sees c_api '(pipeline|c_api)/|tessera\.h' "cli and report"
tessera_sees cli '(pipeline|measure|report|cli)/' c_api
find tessera -maxdepth 1 -name '*.[ch]pp' ! -name tessera.hpp | sed 's/$/:0:""/' |
  forbid "tessera/ has rooms, and what is installed"

# 2. models/ never names an ISA, a thread or a byte.
includes models |
  grep -E ':("kernels/|"runtime/(threads/|base/arena|machine/|execute/|plan/)|<(thread|mutex|atomic|immintrin\.h|omp\.h|xsimd/)|<sys/mman)' |
  grep -vE ':"kernels/types\.hpp"' |
  forbid "models/ names no ISA, thread or byte" || true

# 3. kernels/: the standard library, the vector headers; no allocation, thread or file.
includes kernels |
  grep -E ':<((vector|string|map|unordered_map|set|deque|list|memory|functional|thread|mutex|filesystem|fstream|iostream|sstream)>|fmt/|rapidjson)' |
  forbid "a kernel owns nothing" || true
includes kernels | grep -E '\.inl\.hpp:' | grep -E ':<(algorithm|numeric|optional|span|string_view)>' |
  forbid "no std algorithms or containers in .inl.hpp: their weak symbols would be compiled per ISA" || true
includes runtime models tessera bench tests | grep -E ':"[^"]*\.inl\.hpp"' | grep -v '^tests/kernels/probe/' |
  forbid ".inl.hpp is included by kernels/ and the probes of its tests only" || true

# 4. One place per package.
only_in '<omp\.h>' 'runtime/plugins/openmp_plugin\.cpp|bench/|tests/embedding/' OpenMP
only_in '<xsimd/' 'kernels/' xsimd
only_in '<rapidjson/' 'runtime/base/json\.cpp' RapidJSON
only_in '<utf8proc' 'models/text/' utf8proc
only_in '<pcre2' 'models/text/regex(_unicode)?\.cpp' PCRE2
only_in '<(jpeglib|jerror)\.h>' 'models/image/decode_jpeg\.cpp' libjpeg-turbo
only_in '<png\.h>' 'models/image/decode_png\.cpp' libpng
only_in '<webp/' 'models/image/decode_webp\.cpp' libwebp
only_in '<gif_lib\.h>' 'models/image/decode_gif\.cpp' giflib
only_in '<tiff(io|conf|vers)?\.h>' 'models/image/decode_tiff\.cpp' libtiff
only_in '<CLI/' 'tessera/cli/' CLI11
only_in '<simdjson' 'tests/' simdjson
only_in '<benchmark/' 'bench/' "Google Benchmark"
only_in '<(gtest|gmock)/' 'tests/' GoogleTest
only_in '<perfmon/' 'runtime/meters/perf_encoding\.cpp' libpfm4
only_in '<sys/sdt' 'runtime/execute/markers\.cpp' "SystemTap's probes"
only_in '<valgrind/' 'runtime/meters/callgrind_marks\.cpp' Valgrind
only_in '<(oneapi/)?dnnl' 'runtime/plugins/onednn_plugin\.cpp|bench/support/onednn_whole\.hpp' oneDNN
mapfile -t product < <(sources_in kernels runtime models tessera)
grep -nHE '#[[:space:]]*pragma[[:space:]]+omp' "${product[@]}" | grep -vE '^runtime/plugins/openmp_plugin\.cpp:' |
  cut -d: -f1,2 | forbid "OpenMP is for runtime/plugins/openmp_plugin.cpp only" || true

if [ -s "$problems" ]; then
  cat "$problems"
  fail "$(wc -l <"$problems") includes against the architecture"
fi
say "$(includes "${ALL_FOLDERS[@]}" | wc -l) includes follow kernels <- runtime <- models <- tessera."
