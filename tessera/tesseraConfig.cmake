# find_package(tessera): tessera::tessera, the shared library, and tessera::static, where libtessera.a
# is installed. Components: shared, static. tessera_PLUGIN_DIR: where plugins are, if any is installed.
include("${CMAKE_CURRENT_LIST_DIR}/tesseraTargets.cmake")
set(tessera_shared_FOUND TRUE)
get_target_property(_tessera_include tessera::tessera INTERFACE_INCLUDE_DIRECTORIES)
get_target_property(_tessera_library tessera::tessera LOCATION)
get_filename_component(_tessera_folder "${_tessera_library}" DIRECTORY)
set(_tessera_archive "${_tessera_folder}/libtessera.a")
if(EXISTS "${_tessera_archive}")
  set(tessera_static_FOUND TRUE)
  if(NOT TARGET tessera::static)
    find_package(Threads REQUIRED)
    add_library(tessera::static STATIC IMPORTED)
    set_target_properties(tessera::static PROPERTIES
      IMPORTED_LOCATION "${_tessera_archive}"
      IMPORTED_LINK_INTERFACE_LANGUAGES CXX
      INTERFACE_INCLUDE_DIRECTORIES "${_tessera_include}"
      INTERFACE_COMPILE_FEATURES cxx_std_20
      INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};stdc++;m")
  endif()
endif()
set(tessera_PLUGIN_DIR "${_tessera_folder}/tessera")
foreach(_tessera_component IN LISTS tessera_FIND_COMPONENTS)
  if(NOT tessera_${_tessera_component}_FOUND AND tessera_FIND_REQUIRED_${_tessera_component})
    set(tessera_FOUND FALSE)
    set(tessera_NOT_FOUND_MESSAGE "component ${_tessera_component}: expected shared or static")
  endif()
endforeach()
unset(_tessera_include)
unset(_tessera_library)
unset(_tessera_folder)
unset(_tessera_archive)
