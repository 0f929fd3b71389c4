#!/usr/bin/env bash
# What users do and what is right (shared/cases beside the checkout): builds the cases, runs them.
#
#   scripts/run_cases.sh [TESSERA]      exit status 77 where there is nothing to run them with
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

tessera=${1:-build/release/tessera/tessera}
cases=../shared/cases
[ -f "$cases/cases.json" ] || { say "no $cases: skipped"; exit 77; }
[ -x "$tessera" ] || { say "no $tessera: skipped"; exit 77; }
/usr/bin/python3 -c 'import numpy' 2>/dev/null || { say "no python3-numpy: skipped"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
/usr/bin/python3 "$cases/make_cases.py" "$folder"
/usr/bin/python3 scripts/run_cases.py "$tessera" "$cases/cases.json" "$folder"
