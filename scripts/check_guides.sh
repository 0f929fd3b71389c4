#!/usr/bin/env bash
# Runs the commands of the site's guides (docs/site/index.md, docs/site/guides/*.md), and compares what they print with what
# is shown: the blocks that scripts/check_readme.sh knows, ```sh check and ```text check. Programs in
# the guides are parts of examples/, which scripts/check_examples.sh builds and runs.
#
#   scripts/check_guides.sh                in the tree itself: writes to build/, needs a release build
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

[ -x build/release/tessera/tessera ] || fail "build/release/tessera/tessera does not exist: expected a release build"
for guide in docs/site/index.md docs/site/guides/*.md; do
  grep -q '^```sh check' "$guide" || continue
  stage "$guide" scripts/check_readme.sh --in-place "$guide"
done
