#!/usr/bin/env bash
# The main job on real input: semantic search over the descriptions of Debian packages that ship with
# the repository, with the checkpoint that ships with it.
#
#   scripts/demo.sh [QUERY...]        default: a few queries
#
# Installs what the build needs (Debian 12), builds into build/release, searches. Safe to repeat.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

if [ $# -eq 0 ]; then
  set -- "text editor for programmers" "play music from the command line" "backup to a remote machine" "block spam"
fi

build() {
  # A tree that scripts/test.sh configured keeps its tests; a new one is configured without them.
  if [ ! -f build/release/build.ninja ]; then
    configure release -DTESSERA_BUILD_TESTS=OFF
  fi
  cmake --build build/release --parallel "$JOBS" --target tessera
}

stage "Packages for the build" scripts/install_dependencies.sh build
stage "Build build/release/tessera/tessera with $JOBS jobs" build

tessera=build/release/tessera/tessera
say "== Search models/demo/data/synopses.tsv"
for query in "$@"; do say "   query: $query"; done
begin=$(date +%s%N)
"$tessera" search models/demo/text --index models/demo/data/synopses.tsv --no-quotes "$@"
end=$(date +%s%N)
say "== Search: $(((end - begin) / 1000000)) ms for $(wc -l <models/demo/data/synopses.tsv) descriptions and $# queries, all in one process"
