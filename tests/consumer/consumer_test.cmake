# Installs the library into an empty directory, moves that, builds the programs that README.md shows against it
# (by find_package, and by pkg-config), runs them, and compares with the output that README shows.
#
#   cmake -DSOURCE=… -DBUILD=… -DWORK=… -DCC=… -DCXX=… -P consumer_test.cmake
include(${CMAKE_CURRENT_LIST_DIR}/snippets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(prefix ${WORK}/prefix)
foreach(component IN ITEMS runtime development)
  run(${CMAKE_COMMAND} --install ${BUILD} --component ${component} --prefix ${WORK}/installed)
endforeach()
file(RENAME ${WORK}/installed ${prefix})

snippets(${SOURCE}/README.md ${WORK})
file(READ ${WORK}/embed embed)
file(READ ${WORK}/service service)

run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${WORK}/build -DSNIPPETS=${WORK}
    -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC} -DCMAKE_CXX_COMPILER=${CXX}
    -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)

file(GLOB_RECURSE pc ${prefix}/*/tessera.pc)
get_filename_component(pc_dir ${pc} DIRECTORY)
find_program(PKG_CONFIG NAMES pkg-config pkgconf REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${pc_dir})
run(${PKG_CONFIG} --cflags --libs tessera)
separate_arguments(flags UNIX_COMMAND "${out}")
file(GLOB_RECURSE library ${prefix}/*/libtessera.so)
get_filename_component(library_dir ${library} DIRECTORY)
run(${CC} -std=c11 -pedantic -Wall -Wextra -Werror ${WORK}/embed.c ${flags}
    -Wl,-rpath,${library_dir} -o ${WORK}/build/embed_pkg_config)

foreach(program IN ITEMS embed_c embed_cpp embed_static embed_pkg_config service)
  string(REGEX REPLACE "_.*" "" expected ${program})
  set(expected "${${expected}}")
  execute_process(COMMAND ${WORK}/build/${program} WORKING_DIRECTORY ${SOURCE}
                  RESULT_VARIABLE status OUTPUT_VARIABLE out)
  if(NOT status EQUAL 0 OR NOT out STREQUAL expected)
    message(FATAL_ERROR "${program}: ${status}, printed \"${out}\", README.md says \"${expected}\"")
  endif()
endforeach()
