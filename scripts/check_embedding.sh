#!/usr/bin/env bash
# What host programs do, tried: tests/embedding/ is compiled against an installation and run, a line
# for each. docs/EMBEDDING.md has the table.
#
#   scripts/check_embedding.sh [PREFIX]     default: build/release, installed into a temporary folder
#   scripts/check_embedding.sh --sanitizer address|undefined|thread [PREFIX]
#                                           programs and library under a sanitizer; default: build/asan-ubsan
#                                           or build/tsan, of which tessera_shared must be built
#   RUNS=3000 scripts/check_embedding.sh    runs of the race at exit (100; 10 under a sanitizer)
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
cd "$ROOT"
sanitizer=''
if [ "${1:-}" = --sanitizer ]; then
  sanitizer=${2:-}
  shift 2
fi
compilers=(cc c++)
sanitize=()
case $sanitizer in
  '') preset=release ;;
  address | undefined)  # as the preset: the library has both
    preset=asan-ubsan
    sanitize=("-fsanitize=address,undefined" -fno-sanitize-recover=all -g1)
    ;;
  thread)
    preset=tsan
    compilers=(clang clang++)
    sanitize=(-fsanitize=thread -g1)
    ;;
  *) fail "--sanitizer: got \"$sanitizer\", expected address, undefined or thread" ;;
esac
runs=${RUNS:-$([ -z "$sanitizer" ] && echo 100 || echo 10)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -gt 0 ]; then
  prefix=$(realpath "$1")
elif [ -z "$sanitizer" ]; then
  prefix=$work/prefix
  cmake --install build/$preset --prefix "$prefix" >"$work/install.log" || { cat "$work/install.log"; exit 1; }
else  # the shared library alone is built
  prefix=$work/prefix
  mkdir -p "$prefix/lib/pkgconfig" "$prefix/include/tessera"
  cp -P build/$preset/tessera/libtessera.so* "$prefix/lib"
  [ ! -d build/$preset/plugins ] || cp -r build/$preset/plugins "$prefix/lib/tessera"
  cp tessera/tessera.h tessera/tessera.hpp build/$preset/include/tessera/version.h "$prefix/include/tessera"
  cp build/$preset/tessera/tessera.pc "$prefix/lib/pkgconfig"
fi
pc=$(find "$prefix" -name tessera.pc | head -1)
[ -n "$pc" ] || fail "no tessera.pc below $prefix"
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(realpath "$(pkg-config --variable=libdir tessera)")
plugindir=$libdir/tessera
library=$libdir/libtessera.so
archive=$libdir/libtessera.a
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
read -ra flags <<<"$(pkg-config --cflags --libs tessera)"
read -ra cflags <<<"$(pkg-config --cflags tessera)"
read -ra static <<<"$(pkg-config --cflags tessera) $archive -lstdc++ -lm -ldl -pthread"
export ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=halt_on_error=1:die_after_fork=0
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
  elif [ -z "$sanitizer" ]; then
    echo "wrong  $1: status $2: $(tail -2 <<<"$3" | tr '\n' ' ' | cut -c1-200)"
  else  # its report
    echo "wrong  $1: status $2:"
    grep -vE '^=+$' <<<"$3" | head -40 | cut -c1-200
  fi
}
# check NAME COMMAND...: right where it ends with status 0.
check() {
  local name=$1 rc=0 out
  shift
  out=$(cd "$work" && timeout 120 "$@" 2>&1) || rc=$?
  verdict "$name" "$rc" "$out"
}
# left_out NAME WHY: a case that a sanitizer cannot have.
left_out() { echo "       $1: left out, $2"; }
# build PROGRAM SOURCE FLAGS...
build() {
  local program=$work/$1 source=tests/embedding/$2 out
  shift 2
  local compiler=("${compilers[1]}" -std=c++20)
  case $source in *.c) compiler=("${compilers[0]}" -std=c11) ;; esac
  out=$("${compiler[@]}" ${sanitize[@]+"${sanitize[@]}"} -iquote "$ROOT" -O1 -pthread -o "$program" "$source" "$@" -ldl 2>&1) || {
    verdict "$source compiles" 1 "$out"
    return 1
  }
}

# ---- Lifetime ----
build exit_use exit_use.cpp "${flags[@]}" &&
  for mode in use open tokens error atexit close; do
    for threads in 1 2; do check "use while the process ends: $mode, $threads threads" ./exit_use "$text" $mode $threads; done
  done
if build exit_race exit_race.cpp "${flags[@]}"; then
  failed=0
  why=''
  for ((i = 0; i < runs; ++i)); do
    { out=$(timeout 60 "$work/exit_race" "$text" 2>&1); } 2>/dev/null || { failed=$((failed + 1)); why=$out; }
  done
  verdict "detached threads while main() returns, $runs runs" "$failed" "$failed failed; $why"
fi
build exit_wait exit_wait.cpp "${flags[@]}" &&
  for mode in return exit thread quick_exit close; do
    check "threads that wait for a shared session while the process ends: $mode" ./exit_wait "$text" $mode
  done
# A child of a thread has not the stack of main(), where LeakSanitizer would find what main() holds.
build fork fork.cpp "${flags[@]}" && check "fork(), also in callbacks" env ASAN_OPTIONS=detect_leaks=0 ./fork "$text"
if [ -n "$sanitizer" ]; then
  left_out "fork() beside locks of the host" "sanitizers have an allocator and handlers of their own"
else
  build fork_host fork_host.cpp "${flags[@]}" &&
    for mode in allocator lock signal; do check "fork() beside locks of the host: $mode" ./fork_host $mode; done
fi
if [ $preset = asan-ubsan ]; then
  left_out "fork() while other threads are inside" "GCC 12's ASan does not release its allocator's locks in the child"
else
  build fork_inside fork_inside.cpp "${flags[@]}" && check "fork() while other threads are inside" ./fork_inside "$text" ${sanitizer:+10}
fi
build dlopen dlopen.cpp "${cflags[@]}" && check "dlopen() and dlclose(), also with a session alive" ./dlopen "$text" "$library"
build threads threads.cpp "${flags[@]}" && check "threads that end, a directory that changes" ./threads "$text"

build load_times load_times.cpp "${flags[@]}" && check "opens, makes a session and embeds again and again" ./load_times "$text" 5

# ---- Symbols ----
build host_symbols host_symbols.cpp -rdynamic "${flags[@]}" &&
  check "the host's own libjpeg, libpng, zlib, simdjson, fmt, ..." ./host_symbols "$text" "$vision" "${photos[@]/#/$ROOT/}"
if [ "$sanitizer" = thread ]; then
  left_out "operator new of the host" "Clang's ThreadSanitizer brings its own"
else
  build own_new own_new.cpp "${flags[@]}" && check "operator new of the host" ./own_new "$text"
fi
build c plain.c "${flags[@]}" && check "a C host" ./c "$text"
build no_exceptions no_exceptions.cpp -fno-exceptions -fno-rtti "${flags[@]}" &&
  check "C++ without exceptions and type information" ./no_exceptions "$text"
if [ -n "$sanitizer" ]; then
  left_out "what is loaded, shown and needed; static link" "it is what the sanitizer brings"
else
  build host_symbols_static host_symbols.cpp -rdynamic "${static[@]}" &&
    check "the same, libtessera.a" ./host_symbols_static "$text" "$vision" "${photos[@]/#/$ROOT/}"
  build loaded loaded.cpp "${flags[@]}" && check "no library is loaded that nobody asked for" ./loaded "$text"
  build static_cpp exit_use.cpp "${static[@]}" && check "static link, C++" ./static_cpp "$text" open 2
  build static_c plain.c "${static[@]}" && check "static link, C" ./static_c "$text"
  build static_libstdcxx exit_use.cpp "${static[@]}" -static-libstdc++ -static-libgcc &&
    check "static link, with the C++ library" ./static_libstdcxx "$text" open 2
  build static_all exit_use.cpp "${static[@]}" -static 2>/dev/null && check "static link, everything" ./static_all "$text" open 2
  build sanitized exit_use.cpp -fsanitize=address,undefined "${flags[@]}" &&
    check "a host under AddressSanitizer" ./sanitized "$text" use 2
  build plain exit_use.cpp "${flags[@]}" &&
    check "LD_PRELOAD of AddressSanitizer" env ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$(c++ -print-file-name=libasan.so)" ./plain "$text" use 2
  needs=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|libstdc\+\+|libgcc_s|ld-linux-x86-64)\.so' | tr '\n' ' ' || true)
  verdict "the library needs libc, libm, libstdc++ and libgcc only" "$([ -z "$needs" ] && echo 0 || echo 1)" "$needs"
  shown=$(nm -D --defined-only "$library" | awk '{print $3}' | grep -vE '^(tessera_|TESSERA_)' | tr '\n' ' ' || true)
  verdict "the library shows tessera_* only" "$([ -z "$shown" ] && echo 0 || echo 1)" "$shown"
  shown=$(nm -g --defined-only "$archive" | awk 'NF == 3 {print $3}' | grep -v '^tessera_' | tr '\n' ' ' || true)
  verdict "the archive shows tessera_* only" "$([ -z "$shown" ] && echo 0 || echo 1)" "$shown"
fi

# ---- Plugins ----
openmp=(env -u LD_LIBRARY_PATH TESSERA_THREADS=openmp)
if [ "$sanitizer" = thread ]; then
  left_out "OpenMP" "ThreadSanitizer cannot follow its runtimes"
elif build openmp openmp.cpp -fopenmp "${flags[@]}" -Wl,-rpath,"$libdir"; then
  check "a host with OpenMP" ./openmp "$text"
  check "a host with OpenMP, TESSERA_THREADS=openmp" "${openmp[@]}" ./openmp "$text"
fi
cc -shared -fPIC -o "$work/tessera_openmp.so" tests/embedding/other_plugin.c
mkdir "$work/none"
if build plugin_error plugin_error.cpp "${flags[@]}"; then
  check "a plugin of another version" env LD_LIBRARY_PATH="$work:$LD_LIBRARY_PATH" TESSERA_THREADS=openmp \
    ./plugin_error "$text" tessera_openmp.so 0.0.1 "expected version"
  check "the same, TESSERA_PLUGIN_DIR" env TESSERA_PLUGIN_DIR="$work" TESSERA_THREADS=openmp \
    ./plugin_error "$text" "$work/tessera_openmp.so" 0.0.1 "expected version"
  check "no plugin where TESSERA_PLUGIN_DIR says" env TESSERA_PLUGIN_DIR="$work/none" TESSERA_THREADS=openmp \
    ./plugin_error "$text" "$work/none/tessera_openmp.so" "cannot open" TESSERA_PLUGIN_DIR
  mkdir -p "$work/bare"
  cp -P "$libdir"/libtessera.so* "$work/bare"
  check "no plugin is installed" env LD_LIBRARY_PATH="$work/bare" TESSERA_THREADS=openmp \
    ./plugin_error "$text" tessera_openmp.so "cannot open" "$work/bare/tessera" TESSERA_PLUGIN_DIR
fi
# A program that is linked with the archive finds plugins by each of the ways that there are.
if [ -z "$sanitizer" ] && [ -f "$plugindir/tessera_openmp.so" ]; then
  host=$work/static_host  # an installation of somebody else's
  mkdir -p "$host/bin/tessera" "$host/lib/tessera" "$work/alone"
  if build static_host/bin/openmp openmp.cpp -fopenmp "${static[@]}" &&
    build static_rpath openmp.cpp -fopenmp "${static[@]}" -Wl,-rpath,"$plugindir"; then
    check "static link, TESSERA_PLUGIN_DIR" "${openmp[@]}" TESSERA_PLUGIN_DIR="$plugindir" "$host/bin/openmp" "$text"
    check "static link, the RUNPATH of pkg-config's plugindir" "${openmp[@]}" ./static_rpath "$text"
    cp "$host/bin/openmp" "$work/alone"
    check "static link, no plugin" bash -c "! out=\$(${openmp[*]} '$work/alone/openmp' '$text' 2>&1) && grep -q TESSERA_PLUGIN_DIR <<<\"\$out\""
    cp "$plugindir/tessera_openmp.so" "$host/bin/tessera"
    check "static link, tessera/ beside the program" "${openmp[@]}" "$host/bin/openmp" "$text"
    mv "$host/bin/tessera/tessera_openmp.so" "$host/lib/tessera"
    check "static link, ../lib/tessera" bash -c "cd '$host/bin' && ${openmp[*]} ./openmp '$text'"
  fi
  cp -rP "$prefix" "$work/moved"
  check "an installation that was moved" env LD_LIBRARY_PATH="${libdir/#$prefix/$work/moved}" TESSERA_THREADS=openmp ./openmp "$text"
fi
tool=$prefix/bin/tessera
if [ -x "$tool" ]; then
  # once COMMAND...: the warning is there, once, and the vectors are those without the flag.
  printf '%s\n' "A tiny text editor" >"$work/line.txt"
  cat >"$work/once" <<EOF
set -e
'$tool' embed '$text' line.txt -o own.jsonl
TESSERA_PLUGIN_DIR='$work/none' '$tool' embed '$text' line.txt --allow-onednn -o allowed.jsonl 2>err
cmp own.jsonl allowed.jsonl
cat err
[ "\$(grep -c 'oneDNN was allowed, but .*tessera_onednn.so' err)" = 1 ]
[ "\$(wc -l <err)" = 1 ]
EOF
  check "the tool, --allow-onednn without its plugin" bash ./once
fi

# ---- The process's environment ----
build signals signals.cpp "${flags[@]}" && check "signals without SA_RESTART" ./signals "$text"
build float_environment float_environment.cpp "${flags[@]}" && check "rounding, flushing, SIGFPE of the host" ./float_environment "$text"
build closed_files closed_files.cpp "${flags[@]}" && check "standard files closed; no descriptor leaks" ./closed_files "$text"
build locale locale.cpp "${flags[@]}" && check "a locale with commas" ./locale "$text"
if [ -x "$work/exit_use" ]; then
  check "no environment at all" env -i LD_LIBRARY_PATH="$LD_LIBRARY_PATH" ./exit_use "$text" use 1
  check "HOME is a file" env HOME=/etc/passwd XDG_CACHE_HOME= ./exit_use "$text" use 1
  check "HOME cannot be written" env HOME=/proc ./exit_use "$text" open 2
  # Every mounted file system, in a mount namespace of its own.
  read_only="awk '{print \$2}' /proc/mounts | while read -r at; do mount -o remount,ro,bind \"\$at\" 2>/dev/null; done"
  if unshare -m bash -c "$read_only; ! touch '$work/written'" 2>/dev/null; then
    check "no file system can be written" unshare -m bash -c "$read_only; exec ./exit_use '$text' open 2"
  else
    left_out "no file system can be written" "mount namespaces are not to be had here"
  fi
fi
if build limits limits.cpp "${flags[@]}"; then
  # LeakSanitizer needs a thread when the program ends.
  check "limits of the process: threads" env ASAN_OPTIONS=detect_leaks=0 ./limits "$text" threads
fi
if [ -n "$sanitizer" ]; then
  left_out "no descriptor left" "UBSan looks at objects through pipes"
  left_out "little address space, small stacks" "the sanitizer's own memory and frames are larger"
else
  if [ -x "$work/limits" ]; then
    for mode in files memory; do check "limits of the process: $mode" ./limits "$text" $mode; done
  fi
  build small_stack small_stack.cpp "${flags[@]}" && check "a stack of 128 KiB" ./small_stack "$text"
fi

# ---- Files ----
# Weights of PyTorch: the form of today, and that of before 1.6.
models=("$text")
if /usr/bin/python3 tests/embedding/to_torch.py "$text" "$work/torch" 2>/dev/null &&
  /usr/bin/python3 tests/embedding/to_torch.py "$text" "$work/torch_legacy" --legacy; then
  models+=("$work/torch" "$work/torch_legacy")
else
  left_out "weights of PyTorch that change" "no python3"
fi
export OTHER_WEIGHTS=$ROOT/models/demo/text-sections/model.safetensors
if build changed_file changed_file.cpp -rdynamic "${flags[@]}"; then
  for model in "${models[@]}"; do
    for how in cut write shape rename remove other; do
      for when in map read open prepare session; do
        name="the weights change, ${model##*/}: $how after $when"
        check "$name" ./changed_file "$model" scratch $how $when
        [ "$model" != "$text" ] || check "$name, copy_tables" ./changed_file "$model" scratch $how $when copy
      done
    done
  done
fi
build memory_file memory_file.cpp "${flags[@]}" && check "weights in memory that are freed or written to" ./memory_file "$text"
build debug_warnings debug_warnings.cpp "${flags[@]}" && {
  check "warnings in a debug build" ./debug_warnings "$text"
  check "warnings in a debug build whose program wants none" ./debug_warnings "$text" silent
  check "warnings in a debug build, stderr closed and its number used" ./debug_warnings "$text" other
}
for visibility in default hidden; do
  build plugin_$visibility.so plugin_of_host.cpp -shared -fPIC -fvisibility=$visibility "${flags[@]}"
done
for mode in -UNDEBUG -DNDEBUG; do
  build unload unload.cpp $mode "${flags[@]}" &&
    check "plugins of the host that use tessera.hpp are unloaded, $mode" ./unload "$text" ./plugin_default.so ./plugin_hidden.so
done
build no_warnings debug_warnings.cpp -DNDEBUG "${flags[@]}" && check "warnings in a release build" ./no_warnings "$text"
build no_mmap no_mmap.cpp -rdynamic "${flags[@]}" && check "a file system that cannot map" ./no_mmap "$text"

# ---- Builds ----
if [ -z "$sanitizer" ]; then
  check "a project without a word on the C++ standard" bash -c "cmake -S '$ROOT/tests/embedding/default_standard' -B default_standard -DCMAKE_PREFIX_PATH='$prefix' && cmake --build default_standard"
  check "a project of C alone, shared and static" bash -c "cmake -S '$ROOT/tests/embedding/c_project' -B c_project -DCMAKE_PREFIX_PATH='$prefix' && cmake --build c_project && c_project/c_tessera '$text' && c_project/c_static '$text'"
  echo '#include <tessera/tessera.hpp>' >"$work/old.cpp"
  check "tessera.hpp in C++17 is one error, which says what it needs" bash -c \
    "! out=\$(c++ -std=c++17 -fsyntax-only ${cflags[*]} old.cpp 2>&1) && [ \$(grep -c 'error:' <<<\"\$out\") = 1 ] && grep -q 'needs C++20' <<<\"\$out\""
fi
# files FOLDER: what was installed, by name.
files() { find "$1" ! -type d -printf '%f\n' | LC_ALL=C sort | tr '\n' ' '; }
# Every component by itself, and what it is for.
components() {
  local component out
  for component in runtime development tools; do
    cmake --install build/release --component $component --prefix "$work/$component" || return 1
  done
  files "$work/runtime" | grep -xE 'libtessera\.so\.[0-9]+ libtessera\.so\.[0-9.]+ ' || return 1
  out=$(files "$work/tools")
  # The program and its manual page, the completion of zsh, bash and fish.
  [ "$out" = "_tessera tessera tessera tessera.1 tessera.fish " ] || { echo "$out"; return 1; }
  "$work/tools/bin/tessera" --version || return 1
  env LD_LIBRARY_PATH="${libdir/#$prefix/$work/runtime}" "$work/c" "$text" || return 1
  out=$(files "$work/development")
  [ "$out" = "libtessera.a libtessera.so tessera.h tessera.hpp tessera.pc tesseraConfig.cmake tesseraConfigVersion.cmake tesseraTargets-release.cmake tesseraTargets.cmake version.h " ] ||
    { echo "$out"; return 1; }
}
# Directories that are absolute and outside of the prefix, configured anew; what was built is taken over.
absolute() {
  local at=$work/absolute
  cmake -S . -B "$at/build" -DCMAKE_BUILD_TYPE=Release -DTESSERA_BUILD_TESTS=OFF -DTESSERA_BUILD_BENCH=OFF \
    -DCMAKE_SKIP_RPATH=ON -DCMAKE_INSTALL_PREFIX="$at/prefix" -DCMAKE_INSTALL_LIBDIR="$at/lib64" \
    -DCMAKE_INSTALL_INCLUDEDIR="$at/headers" || return 1
  cp -rP build/release/tessera/tessera build/release/tessera/manual build/release/tessera/libtessera.* "$at/build/tessera" || return 1
  [ ! -d build/release/plugins ] || cp -r build/release/plugins "$at/build" || return 1
  cmake --install "$at/build" || return 1
  mv "$at/build" "$at/gone"  # nothing may lead into it
  (
    export PKG_CONFIG_PATH=$at/lib64/pkgconfig
    unset LD_LIBRARY_PATH
    [ "$(pkg-config --variable=libdir tessera)" = "$at/lib64" ] || exit 1
    [ "$(pkg-config --variable=plugindir tessera)" = "$at/lib64/tessera" ] || exit 1
    read -ra flags <<<"$(pkg-config --cflags --libs tessera)"
    cc -std=c11 -o "$at/c" tests/embedding/plain.c "${flags[@]}" -Wl,-rpath,"$at/lib64" && "$at/c" "$text" || exit 1
    read -ra flags <<<"$(pkg-config --static --cflags --libs-only-L --libs-only-other tessera) $at/lib64/libtessera.a $(pkg-config --static --libs-only-l tessera | sed 's/-ltessera//')"
    cc -std=c11 -o "$at/c_static" tests/embedding/plain.c "${flags[@]}" && "$at/c_static" "$text" || exit 1
    cmake -S tests/embedding/default_standard -B "$at/host" -Dtessera_DIR="$at/lib64/cmake/tessera" &&
      cmake --build "$at/host" && "$at/host/cxx_tessera" "$text" && "$at/host/c_static" "$text"
  )
}
if [ -z "$sanitizer" ] && [ "$prefix" = "$work/prefix" ]; then
  for installation in components absolute; do
    rc=0
    out=$($installation 2>&1) || rc=$?
    verdict "an installation: $installation" "$rc" "$out"
  done
fi

say "$good of $total cases of embedding right."
[ "$good" -eq "$total" ]
