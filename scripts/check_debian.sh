#!/usr/bin/env bash
# The Debian packages in a clean system: debootstrap makes a bookworm of what is essential, apt installs
# each package there, and it is used: the tool on models/demo/text, README's programs against
# libtessera-dev (pkg-config and CMake, shared and static), the Python module, and all removed again.
#
#   scripts/check_debian.sh [FOLDER]     of the .deb files, by default build/debian
#
# MIRROR: where Debian's packages come from (http://deb.debian.org/debian). Needs root, the group debian of
# install_dependencies.sh, and the mirror; two minutes.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
debs=$(realpath "${1:-build/debian}")
mirror=${MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" -eq 0 ] || fail "debootstrap: got user $(id -un), expected root"
for name in libtessera0 libtessera-dev tessera python3-tessera; do
  compgen -G "$debs/${name}_*.deb" >/dev/null || fail "$debs: got no ${name}_*.deb, expected what scripts/build_debian.sh makes"
done

work=$(mktemp -d)
root=$work/root
remove_all() {
  ! mountpoint -q "$root/proc" || umount "$root/proc"
  rm -rf --one-file-system "$work"
}
trap remove_all EXIT

in_root() {
  chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}
# quietly COMMAND...: its words only where it fails.
quietly() {
  "$@" >"$work/log" 2>&1 || { tail -n 40 "$work/log" >&2; return 1; }
}
# deb NAME: the package's path in the root.
deb() { (cd "$root" && printf '/%s\n' srv/debs/"$1"_*.deb); }
apt_install() {
  quietly in_root apt-get -qq -o Acquire::Retries=3 install --yes --no-install-recommends "$@"
}
# same FILE EXPECTED: the program's output is what README.md shows.
same() {
  cmp "$root/srv/$1" "$root/srv/$2" || fail "$1: got \"$(cat "$root/srv/$1")\", expected \"$(cat "$root/srv/$2")\" as in README.md"
}

clean_system() {
  quietly debootstrap --variant=minbase bookworm "$root" "$mirror"
  mount -t proc proc "$root/proc"
  mkdir -p "$root/srv/debs" "$root/srv/models/demo"
  cp "$debs"/*.deb "$root/srv/debs"
  cp -r models/demo/text "$root/srv/models/demo"
  cp -r tests/consumer "$root/srv/consumer"
  cat >"$root/srv/snippets.cmake" <<'CMAKE'
include(/srv/consumer/snippets.cmake)
snippets(/srv/README.md /srv)
CMAKE
  cp README.md "$root/srv"
}

the_tool() {
  apt_install "$(deb tessera)"
  in_root tessera --version
  in_root sh -c 'cd /srv && echo "A tiny text editor" | tessera embed models/demo/text --format text | cut -c1-60'
  in_root sh -c 'cd /srv && printf "%s\n" "vi for small screens" "play chess against the computer" >lines &&
    tessera search models/demo/text --index lines "A tiny text editor" --top-k 1 --quiet' | tee "$work/found"
  grep -q "vi for small screens" "$work/found"
  [ -f "$root/usr/share/bash-completion/completions/tessera" ]
  # Manual pages are left out of a minimal system by some; here they are.
  [ -f "$root/usr/share/man/man1/tessera.1.gz" ]
}
the_python_module() {
  apt_install "$(deb libtessera0)" "$(deb python3-tessera)"
  in_root sh -c 'cd /srv && python3 -c "
import tessera
encoder = tessera.Encoder(\"models/demo/text\")
rows = encoder.encode([\"A tiny text editor\", \"vi for small screens\"])
print(tessera.__version__, tessera.__file__, rows.shape, rows.dtype, \"cosine %.3f\" % float(rows[0] @ rows[1]))
assert \"%.3f\" % float(rows[0] @ rows[1]) == \"0.362\", \"expected the cosine of README.md\"
"'
}
the_development_package() {
  apt_install gcc g++ libc6-dev make cmake pkg-config "$(deb libtessera0)" "$(deb libtessera-dev)"
  in_root cmake -P /srv/snippets.cmake
  # shellcheck disable=SC2016  # for the shell inside
  in_root sh -e -c 'cd /srv
    cc -std=c11 -Wall -Werror embed.c $(pkg-config --cflags --libs tessera) -o embed_c
    c++ -std=c++20 -Wall -Werror embed.cpp $(pkg-config --cflags --libs tessera) -o embed_cpp
    c++ -std=c++20 -pthread -Wall -Werror service.cpp $(pkg-config --cflags --libs tessera) -o service_cpp
    cmake -S consumer -B build -DSNIPPETS=/srv >cmake.log && cmake --build build >>cmake.log
    for program in embed_c embed_cpp service_cpp; do ./$program >$program.out; done
    for program in embed_c embed_cpp embed_static service; do build/$program >cmake_$program.out; done'
  local program
  for program in embed_c embed_cpp cmake_embed_c cmake_embed_cpp cmake_embed_static; do same $program.out embed; done
  for program in service_cpp cmake_service; do same $program.out service; done
  say "pkg-config and CMake: $(cat "$root/srv/embed")"
}
removal() {
  quietly in_root apt-get -qq purge --yes tessera libtessera0 libtessera-dev python3-tessera
  local left
  left=$(in_root find / -xdev \( -path /srv -o -path /proc -o -path /var/log -o -path /var/lib/apt \) -prune -o -iname '*tessera*' -print)
  [ -z "$left" ] || fail "left after purge: $left"
}

stage "A clean bookworm by debootstrap" clean_system
stage "tessera: embeds and searches" the_tool
stage "python3-tessera: encodes" the_python_module
stage "libtessera-dev: README's programs" the_development_package
stage "Removed without a trace" removal
say "The packages of $debs install, work and go in a clean system."
