#!/usr/bin/env bash
# Installs the Debian 12 packages that the named groups need, and only those that are missing.
#
#   scripts/install_dependencies.sh [build] [test] [bench] [check] [clang] [report] [compare] [wheel] [debian] [docs]     default: build
#
# third_party/README.md says what each package is for. Runs apt-get as root, else with sudo.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

packages_of() {
  case $1 in
    build) echo build-essential cmake ninja-build pkg-config libxsimd-dev libfmt-dev \
      rapidjson-dev libutf8proc-dev libpcre2-dev libcli11-dev zlib1g-dev \
      libjpeg62-turbo-dev libpng-dev libwebp-dev libgif-dev libpfm4-dev \
      libtiff-dev libzstd-dev liblzma-dev libdeflate-dev ;;
    test) echo libgtest-dev libgmock-dev libsimdjson-dev zlib1g-dev valgrind groff-base \
      python3 python3-numpy python3-pytest python3-pil ;;
    wheel) echo python3 python3-numpy python3-pip python3-venv binutils ;;
    bench) echo libbenchmark-dev libdnnl-dev systemtap-sdt-dev ;;
    check) echo clang-format clang-tidy binutils shellcheck black mypy python3-numpy ;;
    compare) echo nodejs python3-numpy python3-onnx ;;
    report) echo chromium fonts-dejavu-core python3-pil ;;
    docs) echo python3-sphinx python3-myst-parser furo python3-numpy ;;
    debian) echo dpkg-dev debhelper dh-python lintian fakeroot xz-utils debootstrap systemtap-sdt-dev ;;
    clang) echo clang libomp-dev libclang-rt-14-dev ;;
    *) fail "unknown group \"$1\", expected build, test, bench, check, report, compare, wheel, debian, docs or clang" ;;
  esac
}

[ $# -gt 0 ] || set -- build
if ! command -v dpkg-query >/dev/null 2>&1; then
  say "This is no Debian system. Please install what corresponds to these Debian 12 packages:"
  for group in "$@"; do say "  $(packages_of "$group")"; done
  fail "dpkg-query not found"
fi

missing=()
for group in "$@"; do
  packages=$(packages_of "$group")
  for package in $packages; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
  done
done
if [ ${#missing[@]} -eq 0 ]; then
  say "Packages for $*: all installed."
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null 2>&1 ||
    fail "packages are missing and this is neither root nor has sudo; as root, run: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=3 "$@" </dev/null
}
say "Installing ${#missing[@]} packages for $*: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt update && apt install --yes --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  fail "apt-get could not install ${missing[*]} (its last words are above)"
fi
say "Installed."
