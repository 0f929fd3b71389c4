#!/usr/bin/env bash
# The wheel as others use it: built twice, the same bytes; RECORD; installed by pip without an index into a
# new environment, and unpacked by python3 -m zipfile; each encodes with the shipped checkpoint.
#
#   scripts/check_wheel.sh [--debootstrap] [BUILD_DIR]     default: build/release
#
# --debootstrap, as root: also in a bare Debian 12 with nothing but python3-numpy, made by debootstrap.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"

bare=no
if [ "${1:-}" = --debootstrap ]; then
  bare=yes
  shift
fi
build=${1:-build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=/usr/bin/python3
unset PYTHONPATH TESSERA_LIBRARY TESSERA_TOOL LD_LIBRARY_PATH

wheel=$(scripts/build_wheel.sh "$build" | tail -n 1)
cp "$wheel" "$work/first.whl"
scripts/build_wheel.sh "$build"
cmp "$work/first.whl" "$wheel" || fail "two builds of the wheel differ"
say "Two builds give the same $(stat -c %s "$wheel") bytes."

cat >"$work/record.py" <<'PYTHON'
import base64, csv, hashlib, io, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
    record = next(name for name in names if name.endswith(".dist-info/RECORD"))
    rows = list(csv.reader(io.StringIO(wheel.read(record).decode())))
    assert sorted(row[0] for row in rows) == sorted(names) and len(set(names)) == len(names)
    for path, digest, size in rows:
        if path == record:
            continue
        content = wheel.read(path)
        expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert digest == "sha256=" + expected and int(size) == len(content), path
print(f"RECORD is right about {len(rows)} files.")
PYTHON
"$python" "$work/record.py" "$wheel"

# The wheel's binaries are linked with what those of the Debian packages are.
linked() { sed -n '/^static = /,/[^\\]$/p' packaging/debian/rules | tr -d '\134' | sed 's/^static = //' | xargs -n 1 | sort; }
licences=$("$python" -m zipfile -l "$wheel" | sed -nE 's,.*/licenses/([^ ]*)\.txt .*,\1,p' | sort)
[ "$licences" = "$(linked)" ] || fail "the wheel has the licences of $(xargs <<<"$licences"), expected those of packaging/debian/rules: $(linked | xargs)"
say "Licences of $(wc -l <<<"$licences") packages that are linked in."

# first_embedding.py MODEL EXPECTED WHERE: the package from WHERE against the reference's numbers.
cat >"$work/first_embedding.py" <<'PYTHON'
import json, os, sys
import numpy, tessera
from tessera._library import PATH
model, expected, where = sys.argv[1:]
for path in (tessera.__file__, PATH):
    assert os.path.realpath(path).startswith(os.path.realpath(where) + "/"), (path, where)
cases = json.load(open(expected))["text"]
rows = tessera.Encoder(model).encode([case["text"] for case in cases])
worst = abs(rows - numpy.array([case["embedding"] for case in cases])).max()
assert rows.dtype == numpy.float32 and worst < 1e-5, worst
page = tessera.Model(model).report(rows=16, runs=1).html  # by the tool of the wheel
assert "layer.0.qkv" in page
print(f"Python {sys.version.split()[0]}, NumPy {numpy.__version__}: {rows.shape}, worst difference {worst:.1e}")
PYTHON

say "By pip, without an index:"
"$python" -m venv --system-site-packages "$work/venv"
"$work/venv/bin/pip" install --quiet --no-index --disable-pip-version-check "$wheel"
(cd "$work" && venv/bin/python first_embedding.py "$ROOT/models/demo/text" "$ROOT/models/demo/expected.json" "$work/venv")
(cd "$work" && venv/bin/tessera verify "$ROOT/models/demo/text" | tail -n 1)
"$work/venv/bin/pip" uninstall --quiet --yes --disable-pip-version-check tessera
[ -z "$(find "$work/venv" -path '*/tessera/*')" ] || fail "pip uninstall left files behind"

say "Unpacked by python3 -m zipfile:"
"$python" -m zipfile -e "$wheel" "$work/unpacked"
(cd "$work" && PYTHONPATH=$work/unpacked "$python" first_embedding.py "$ROOT/models/demo/text" "$ROOT/models/demo/expected.json" "$work/unpacked")

if [ "$bare" = yes ]; then
  [ "$(id -u)" -eq 0 ] || fail "--debootstrap needs root"
  command -v debootstrap >/dev/null 2>&1 || fail "debootstrap not found: apt-get install debootstrap"
  root=$work/root
  say "A bare Debian 12 with python3-numpy, by debootstrap"
  debootstrap --variant=minbase --include=python3-numpy bookworm "$root" >"$work/debootstrap.log" 2>&1 ||
    { tail -n 20 "$work/debootstrap.log" >&2; fail "debootstrap failed"; }
  mkdir "$root/wheel"
  cp -rL models/demo/text "$root/wheel/model"
  cp "$wheel" models/demo/expected.json "$work/first_embedding.py" "$root/wheel/"
  say "$(chroot "$root" dpkg-query --show | wc -l) packages; in it:"
  chroot "$root" python3 -m zipfile -e "/wheel/$(basename "$wheel")" /wheel/unpacked
  chroot "$root" env PYTHONPATH=/wheel/unpacked python3 /wheel/first_embedding.py /wheel/model /wheel/expected.json /wheel/unpacked
fi
say "The wheel works: $wheel"
