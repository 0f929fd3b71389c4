# Brings Tessera into a project of somebody else by its sources, in both ways: what is configured, built by
# default and installed there is that project's alone.
#
#   cmake -DSOURCE=… -DWORK=… -DCC=… -DCXX=… -P in_tree_test.cmake
#   ... -DBUILD=ON: also builds the programs of README.md with tessera::tessera and tessera::static of the
#   tree, and runs them: minutes without a compiler cache.
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/snippets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE ${WORK})
snippets(${SOURCE}/README.md ${WORK})
file(READ ${WORK}/embed expected)
foreach(how IN ITEMS add_subdirectory FetchContent)
  set(build ${WORK}/${how})
  # No build type: that of Tessera alone is Release then.
  run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer/in_tree -B ${build} -G Ninja -DHOW=${how}
      -DTESSERA=${SOURCE} -DSNIPPETS=${WORK} -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX})
  run(ninja -C ${build} -t commands all)  # what would be built
  if(out MATCHES "tessera_(kernels|runtime|models|pipeline)")
    message(FATAL_ERROR "${how}: the host's default target builds Tessera, expected its own programs")
  endif()
  run(${CMAKE_COMMAND} --build ${build})
  run(${CMAKE_COMMAND} --install ${build} --prefix ${build}/prefix)
  file(GLOB_RECURSE installed ${build}/prefix/*)
  if(installed)
    message(FATAL_ERROR "${how}: the host installs ${installed}, expected nothing")
  endif()
  run(ninja -C ${build} -t commands embed_tessera)
  if(NOT out MATCHES "-O3 -DNDEBUG[^\n]*/runtime/base/error.cpp" OR out MATCHES "-Werror" OR
     NOT out MATCHES "-std=(gnu\\+\\+|c\\+\\+)20[^\n]*embed.cpp")
    message(FATAL_ERROR "${how}: expected Tessera at -O3 without -Werror, and C++20 for who links it:\n${out}")
  endif()
endforeach()
if(BUILD)
  foreach(program IN ITEMS embed_tessera embed_static embed_c_tessera embed_c_static)
    run(${CMAKE_COMMAND} --build ${WORK}/FetchContent --target ${program})
    run(${WORK}/FetchContent/out/${program})
    if(NOT out STREQUAL expected)
      message(FATAL_ERROR "${program}: printed \"${out}\", README.md says \"${expected}\"")
    endif()
    message(STATUS "${program} of the tree prints what README.md says")
  endforeach()
endif()
