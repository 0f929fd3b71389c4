# shellcheck shell=bash
# Sourced by the other scripts: the repository's root, messages, stages with their durations.
# shellcheck disable=SC2034  # used by the scripts that source this file

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
JOBS=$(nproc 2>/dev/null || echo 2)

# The compiler cache is used where it is installed; nothing depends on it.
if command -v ccache >/dev/null 2>&1; then
  export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER:-ccache}
fi

say() { printf '%s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# stage TITLE COMMAND...: runs the command and says how long it took; ends the script if it fails.
stage() {
  local title=$1 begin=$SECONDS status=0
  shift
  say "== $title"
  "$@" || status=$?
  if [ "$status" -ne 0 ]; then
    say "== $title: FAILED after $((SECONDS - begin)) s"
    exit "$status"
  fi
  say "== $title: $((SECONDS - begin)) s"
}

# configure PRESET [CMAKE ARGUMENTS...]: quiet unless it fails.
configure() {
  local log=$ROOT/build/$1.configure.log
  mkdir -p "$ROOT/build"
  if ! (cd "$ROOT" && cmake --preset "$@") >"$log" 2>&1; then
    cat "$log" >&2
    return 1
  fi
}

# The version that CMakeLists.txt gives the project.
project_version() { sed -n 's/^project(tessera VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt"; }

# results_table NAME FILTER: shows the table on stdin and, unless a filter left out cells, keeps it as
# bench/results/NAME. What it is made of stays in build/results/.
results_table() {
  if [ -z "$2" ]; then tee "$ROOT/bench/results/$1"; else cat; fi
}

# The C++ sources of the given folders, one per line, sorted.
sources_in() {
  local folder
  for folder in "$@"; do
    [ -d "$ROOT/$folder" ] || continue
    (cd "$ROOT" && find "$folder" -type f \( -name '*.hpp' -o -name '*.cpp' -o -name '*.h' -o -name '*.c' \))
  done | LC_ALL=C sort
}

ALL_FOLDERS=(kernels runtime models tessera bench tests examples)
