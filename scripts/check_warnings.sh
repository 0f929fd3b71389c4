#!/usr/bin/env bash
# The compiler's warnings on every source of a build folder that has no object there, or an older one: what a
# build of some targets left out. They need no code, so none is made. (Headers are not looked at: a folder that
# was built before is to be removed first.)
#
#   scripts/check_warnings.sh BUILD       as in build/fuzz: a folder with compile_commands.json
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

build=${1:?the build folder, as in build/fuzz}
[ -f "$build/compile_commands.json" ] || fail "$build/compile_commands.json not found, expected a configured build folder"
commands=$(mktemp)
trap 'rm -f "$commands"' EXIT
python3 - "$build" >"$commands" <<'PYTHON'
import json
import os
import shlex
import sys

with open(f"{sys.argv[1]}/compile_commands.json", encoding="utf-8") as file:
    for unit in json.load(file):
        words = unit["command"].split()
        at = words.index("-o")
        made = os.path.join(unit["directory"], words[at + 1])
        if os.path.exists(made) and os.path.getmtime(made) >= os.path.getmtime(unit["file"]):
            continue
        del words[at : at + 2]
        while os.path.basename(words[0]) == "ccache":
            del words[0]
        print(f"cd {shlex.quote(unit['directory'])} && {' '.join(words)} -fsyntax-only", end="\0")
PYTHON
say "$(tr -cd '\0' <"$commands" | wc -c) sources without an object in $build"
xargs -0 -P "$JOBS" -I '{}' bash -c '{}' <"$commands"
