# Runs packaging/vcpkg/portfile.cmake with what vcpkg's functions come to on one machine: the options that it
# gives are ones that there are, and the package is found from share/tessera, where vcpkg moves it.
# vcpkg itself is not run.
#
#   cmake -DSOURCE=… -DBUILD=… -DWORK=… -DCC=… -DCXX=… -P vcpkg_port_test.cmake
#
# BUILD: what is installed, a finished build.
cmake_minimum_required(VERSION 3.25)
include(${CMAKE_CURRENT_LIST_DIR}/snippets.cmake)
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
set(PORT tessera)
set(FEATURES core tool openmp)
set(CURRENT_PACKAGES_DIR ${WORK}/packages)

include(${CMAKE_CURRENT_LIST_DIR}/run.cmake)

# OUT_FEATURE_OPTIONS variable FEATURES feature option...
function(vcpkg_check_features)
  cmake_parse_arguments(arg "" "OUT_FEATURE_OPTIONS" "FEATURES" ${ARGN})
  file(READ ${SOURCE}/packaging/vcpkg/vcpkg.json manifest)
  set(options)
  while(arg_FEATURES)
    list(POP_FRONT arg_FEATURES feature option)
    string(JSON described GET "${manifest}" features ${feature} description)
    list(APPEND options "-D${option}=ON")
  endwhile()
  set(${arg_OUT_FEATURE_OPTIONS} ${options} PARENT_SCOPE)
endfunction()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(arg "" "SOURCE_PATH" "OPTIONS" ${ARGN})
  run(${CMAKE_COMMAND} -S ${arg_SOURCE_PATH} -B ${WORK}/configured -DCMAKE_BUILD_TYPE=Release
      -DCMAKE_CXX_COMPILER=${CXX} ${arg_OPTIONS})
  if(out MATCHES "Manually-specified variables were not used[^\n]*\n[^-]*")
    message(FATAL_ERROR "portfile.cmake gives options that there are not: ${CMAKE_MATCH_0}")
  endif()
endfunction()
function(vcpkg_cmake_install)
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${CURRENT_PACKAGES_DIR})
endfunction()
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(arg "" "CONFIG_PATH" "" ${ARGN})
  file(GLOB found ${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/* ${CURRENT_PACKAGES_DIR}/lib/*/cmake/tessera/*)
  foreach(file IN LISTS found)
    file(READ ${file} text)
    # From share/tessera the prefix is two folders up.
    string(REGEX REPLACE "(get_filename_component\\(_IMPORT_PREFIX [^\n]*\n)+"
           "get_filename_component(_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_DIR}/../..\" ABSOLUTE)\n" text "${text}")
    get_filename_component(name ${file} NAME)
    file(WRITE ${CURRENT_PACKAGES_DIR}/share/tessera/${name} "${text}")
  endforeach()
  file(REMOVE_RECURSE ${CURRENT_PACKAGES_DIR}/lib/cmake)
endfunction()
function(vcpkg_fixup_pkgconfig)
endfunction()
function(vcpkg_copy_tools)
  if(NOT EXISTS ${CURRENT_PACKAGES_DIR}/bin/tessera)
    message(FATAL_ERROR "vcpkg_copy_tools: ${CURRENT_PACKAGES_DIR}/bin has no tessera, expected it with feature tool")
  endif()
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(arg "" "" "FILE_LIST" ${ARGN})
  file(COPY ${arg_FILE_LIST} DESTINATION ${CURRENT_PACKAGES_DIR}/share/tessera)
endfunction()

include(${SOURCE}/packaging/vcpkg/portfile.cmake)

snippets(${SOURCE}/README.md ${WORK})
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer -B ${WORK}/build -DSNIPPETS=${WORK}
    -Dtessera_DIR=${CURRENT_PACKAGES_DIR}/share/tessera -DCMAKE_C_COMPILER=${CC}
    -DCMAKE_CXX_COMPILER=${CXX} -DCMAKE_BUILD_TYPE=Release)
run(${CMAKE_COMMAND} --build ${WORK}/build)
file(READ ${WORK}/embed expected)
foreach(program IN ITEMS embed_cpp embed_static)
  run(${WORK}/build/${program})
  if(NOT out STREQUAL expected)
    message(FATAL_ERROR "${program}: printed \"${out}\", README.md says \"${expected}\"")
  endif()
endforeach()
