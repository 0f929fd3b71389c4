#!/usr/bin/env bash
# What users do and what is right: builds the cases of a folder, runs them.
#
#   scripts/run_cases.sh [TESSERA [FOLDER]]      FOLDER: ../shared/cases (default), beside the checkout, or tests/cases
#
# Exit status 77 where there is nothing to run them with.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

tessera=${1:-build/release/tessera/tessera}
cases=${2:-../shared/cases}
[ -f "$cases/make_cases.py" ] || { say "no $cases: skipped"; exit 77; }
[ -x "$tessera" ] || { say "no $tessera: skipped"; exit 77; }
/usr/bin/python3 -c 'import numpy' 2>/dev/null || { say "no python3-numpy: skipped"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$cases/make_cases.py" "$folder"
list=$cases/cases.json
[ -f "$list" ] || list=$folder/cases.json  # ours are written beside what they need
/usr/bin/python3 scripts/run_cases.py "$tessera" "$list" "$folder"
