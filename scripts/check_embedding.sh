#!/usr/bin/env bash
# What host programs do, tried: tests/embedding/ is compiled against an installation and run, a line
# for each. docs/EMBEDDING.md has the table.
#
#   scripts/check_embedding.sh [PREFIX]     default: build/release, installed into a temporary folder
#   RUNS=3000 scripts/check_embedding.sh    runs of the race at exit (100)
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -gt 0 ]; then
  prefix=$(realpath "$1")
else
  prefix=$work/prefix
  cmake --install build/release --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
fi
pc=$(find "$prefix" -name tessera.pc | head -1)
[ -n "$pc" ] || fail "no tessera.pc below $prefix"
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir tessera)
library=$libdir/libtessera.so
archive=$libdir/libtessera.a
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
read -ra flags <<<"$(pkg-config --cflags --libs tessera)"
read -ra cflags <<<"$(pkg-config --cflags tessera)"
read -ra static <<<"$(pkg-config --cflags tessera) $archive -lstdc++ -lm -ldl -pthread"
text=$ROOT/models/demo/text
vision=$ROOT/models/demo/vision
photos=()
for name in baseline-420.jpg exif-6.png animated.webp transparent.gif v4.bmp ycbcr-lzw.tif ycbcr-jpeg.tif tiles-deflate.tif; do
  photos+=("tests/data/images/decode/$name")
done
good=0
total=0

# verdict NAME STATUS OUTPUT
verdict() {
  total=$((total + 1))
  if [ "$2" -eq 0 ]; then
    good=$((good + 1))
    echo "right  $1"
  else
    echo "wrong  $1: status $2: $(tail -2 <<<"$3" | tr '\n' ' ' | cut -c1-200)"
  fi
}
# check NAME COMMAND...: right where it ends with status 0.
check() {
  local name=$1 rc=0 out
  shift
  out=$(cd "$work" && timeout 120 "$@" 2>&1) || rc=$?
  verdict "$name" "$rc" "$out"
}
# build PROGRAM SOURCE FLAGS...
build() {
  local program=$work/$1 source=tests/embedding/$2 out
  shift 2
  local compiler=(c++ -std=c++20)
  case $source in *.c) compiler=(cc -std=c11) ;; esac
  out=$("${compiler[@]}" -iquote "$ROOT" -O1 -pthread -o "$program" "$source" "$@" -ldl 2>&1) || {
    verdict "$source compiles" 1 "$out"
    return 1
  }
}

cd "$ROOT"
build exit_use exit_use.cpp "${flags[@]}" &&
  for mode in use open tokens error atexit close; do
    for threads in 1 2; do check "use while the process ends: $mode, $threads threads" ./exit_use "$text" $mode $threads; done
  done
if build exit_race exit_race.cpp "${flags[@]}"; then
  failed=0
  why=''
  for ((i = 0; i < ${RUNS:-100}; ++i)); do
    { out=$(timeout 60 "$work/exit_race" "$text" 2>&1); } 2>/dev/null || { failed=$((failed + 1)); why=$out; }
  done
  verdict "detached threads while main() returns, ${RUNS:-100} runs" "$failed" "$failed failed; $why"
fi
build host_symbols host_symbols.cpp -rdynamic "${flags[@]}" &&
  check "the host's own libjpeg, libpng, zlib, simdjson, fmt, ..." ./host_symbols "$text" "$vision" "${photos[@]/#/$ROOT/}"
build host_symbols_static host_symbols.cpp -rdynamic "${static[@]}" &&
  check "the same, libtessera.a" ./host_symbols_static "$text" "$vision" "${photos[@]/#/$ROOT/}"
build loaded loaded.cpp "${flags[@]}" && check "no library is loaded that nobody asked for" ./loaded "$text"
build fork fork.cpp "${flags[@]}" && check "fork(), also in callbacks" ./fork "$text"
build dlopen dlopen.cpp "${cflags[@]}" && check "dlopen() and dlclose(), also with a session alive" ./dlopen "$text" "$library"
build own_new own_new.cpp "${flags[@]}" && check "operator new of the host" ./own_new "$text"
if build openmp openmp.cpp -fopenmp "${flags[@]}"; then
  check "a host with OpenMP" ./openmp "$text"
  check "a host with OpenMP, TESSERA_THREADS=openmp" env TESSERA_THREADS=openmp ./openmp "$text"
fi
cc -shared -fPIC -o "$work/tessera_openmp.so" tests/embedding/other_plugin.c
build other_plugin other_plugin.cpp "${flags[@]}" &&
  check "a plugin of another version" env LD_LIBRARY_PATH="$work:$LD_LIBRARY_PATH" TESSERA_THREADS=openmp ./other_plugin "$text"
build signals signals.cpp "${flags[@]}" && check "signals without SA_RESTART" ./signals "$text"
build small_stack small_stack.cpp "${flags[@]}" && check "a stack of 128 KiB" ./small_stack "$text"
build sanitized exit_use.cpp -fsanitize=address,undefined "${flags[@]}" &&
  check "a host under AddressSanitizer" ./sanitized "$text" use 2
if build plain exit_use.cpp "${flags[@]}"; then
  check "LD_PRELOAD of AddressSanitizer" env ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(c++ -print-file-name=libasan.so)" ./plain "$text" use 2
fi
build static_cpp exit_use.cpp "${static[@]}" && check "static link, C++" ./static_cpp "$text" open 2
build static_c plain.c "${static[@]}" && check "static link, C" ./static_c "$text"
build c plain.c "${flags[@]}" && check "a C host" ./c "$text"
build no_exceptions no_exceptions.cpp -fno-exceptions -fno-rtti "${flags[@]}" &&
  check "C++ without exceptions and type information" ./no_exceptions "$text"
build float_environment float_environment.cpp "${flags[@]}" && check "rounding, flushing, SIGFPE of the host" ./float_environment "$text"
build closed_files closed_files.cpp "${flags[@]}" && check "standard files closed; no descriptor leaks" ./closed_files "$text"
if [ -x "$work/plain" ]; then
  check "no environment at all" env -i LD_LIBRARY_PATH="$LD_LIBRARY_PATH" ./plain "$text" use 1
  check "HOME is a file" env HOME=/etc/passwd XDG_CACHE_HOME= ./plain "$text" use 1
  check "HOME cannot be written" env HOME=/proc ./plain "$text" open 2
fi
if build limits limits.cpp "${flags[@]}"; then
  for mode in files memory threads; do check "limits of the process: $mode" ./limits "$text" $mode; done
fi
if build changed_file changed_file.cpp "${flags[@]}"; then
  for how in cut write rename remove other; do
    for when in open prepare session; do
      check "the weights change: $how after $when" ./changed_file "$text" scratch $how $when
      check "the weights change: $how after $when, copy_tables" ./changed_file "$text" scratch $how $when copy
    done
  done
fi
build no_mmap no_mmap.cpp -rdynamic "${flags[@]}" && check "a file system that cannot map" ./no_mmap "$text"
build locale locale.cpp "${flags[@]}" && check "a locale with commas" ./locale "$text"
build debug_warnings debug_warnings.cpp "${flags[@]}" && {
  check "warnings in a debug build" ./debug_warnings "$text"
  check "warnings in a debug build whose program wants none" ./debug_warnings "$text" silent
}
build no_warnings debug_warnings.cpp -DNDEBUG "${flags[@]}" && check "warnings in a release build" ./no_warnings "$text"
build threads threads.cpp "${flags[@]}" && check "threads that end, a directory that changes" ./threads "$text"
check "a project without a word on the C++ standard" bash -c "cmake -S '$ROOT/tests/embedding/default_standard' -B default_standard -DCMAKE_PREFIX_PATH='$prefix' && cmake --build default_standard"
needs=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libstdc\+\+|libgcc_s|ld-linux-x86-64)\.so' | tr '\n' ' ' || true)
verdict "the library needs libc, libm, libstdc++ and libgcc only" "$([ -z "$needs" ] && echo 0 || echo 1)" "$needs"
shown=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -vE '^(tessera_|TESSERA_)' | tr '\n' ' ' || true)
verdict "the library shows tessera_* only" "$([ -z "$shown" ] && echo 0 || echo 1)" "$shown"
shown=$(nm -g --defined-only "$archive" | awk 'NF == 3 {print $3}' | grep -v '^tessera_' | tr '\n' ' ' || true)
verdict "the archive shows tessera_* only" "$([ -z "$shown" ] && echo 0 || echo 1)" "$shown"

say "$good of $total cases of embedding right."
[ "$good" -eq "$total" ]
