#!/usr/bin/env bash
# Builds the documentation site: guides, the repository's own pages, and the references of C, C++,
# Python and the command line, which are made from the headers, the docstrings and the tool's help.
# A warning of Sphinx is an error. The pages load nothing from elsewhere.
#
#   scripts/build_site.sh [OUT]            default: build/site
#   TESSERA_TOOL=FILE TESSERA_LIBRARY=FILE scripts/build_site.sh
#                                          in place of those of build/release
#
# Needs a release build and the Debian packages of group "docs".
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

out=$(realpath -m "${1:-build/site}")
source=$ROOT/build/site-source
tool=${TESSERA_TOOL:-$ROOT/build/release/tessera/tessera}
export TESSERA_ROOT=$ROOT
export TESSERA_LIBRARY=${TESSERA_LIBRARY:-$ROOT/build/release/tessera/libtessera.so}
export PYTHONDONTWRITEBYTECODE=1  # the tree stays clean
/usr/bin/python3 -c 'import sphinx, myst_parser, furo, numpy' 2>/dev/null ||
  fail "Sphinx is not installed: scripts/install_dependencies.sh docs"
[ -x "$tool" ] || fail "$tool does not exist: expected a release build, or TESSERA_TOOL"

mkdir -p build
/usr/bin/python3 docs/site/tools/stage.py "$ROOT" "$source" "$tool"
rm -rf "$out" build/site-doctrees  # docstrings change without their pages
/usr/bin/python3 -m sphinx -q -W --keep-going -b html -d build/site-doctrees "$source" "$out"
rm -f "$out/.buildinfo" "$out/objects.inv"
say "$(find "$out" -name '*.html' | wc -l) pages: $out/index.html"
