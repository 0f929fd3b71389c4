# The command-line tool: what measures, what draws, the commands.

# A model with a meter at its ops: for profile and report, and for nothing that runs a model.
file(GLOB TESSERA_MEASURE_SOURCES CONFIGURE_DEPENDS measure/*.cpp)
add_library(tessera_measure STATIC ${TESSERA_MEASURE_SOURCES})
target_link_libraries(tessera_measure PUBLIC tessera_pipeline)

# Plans and measurements as pictures.
file(GLOB TESSERA_REPORT_SOURCES CONFIGURE_DEPENDS report/*.cpp)
add_library(tessera_report STATIC ${TESSERA_REPORT_SOURCES})
target_link_libraries(tessera_report PUBLIC tessera_models PRIVATE tessera::fmt)

# The command-line tool without main(), so that tests reach its parts.
file(GLOB TESSERA_CLI_SOURCES CONFIGURE_DEPENDS cli/*.cpp)
list(FILTER TESSERA_CLI_SOURCES EXCLUDE REGEX "/cli/main\\.cpp$")
add_library(tessera_cli STATIC ${TESSERA_CLI_SOURCES})
target_link_libraries(tessera_cli PUBLIC tessera_measure tessera_pipeline tessera_report CLI11::CLI11)

add_executable(tessera cli/main.cpp)
target_link_libraries(tessera PRIVATE tessera_cli)
set_source_files_properties(cli/main.cpp cli/resumable_job.cpp cli/verify.cpp PROPERTIES COMPILE_DEFINITIONS
  "TESSERA_VERSION=\"${PROJECT_VERSION}\";TESSERA_BUILD_TYPE=\"${CMAKE_BUILD_TYPE}\"")

file(RELATIVE_PATH TESSERA_LIB_FROM_BIN ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
set_target_properties(tessera PROPERTIES INSTALL_RPATH "$ORIGIN/${TESSERA_LIB_FROM_BIN}/tessera")

# The manual page and the completion of three shells, which the tool makes from its own tables. Not where
# it cannot run.
set(TESSERA_MANUAL_DIR ${CMAKE_CURRENT_BINARY_DIR}/manual)
set(TESSERA_MANUAL)
if(NOT CMAKE_CROSSCOMPILING OR CMAKE_CROSSCOMPILING_EMULATOR)
  file(MAKE_DIRECTORY ${TESSERA_MANUAL_DIR})
  function(tessera_manual form file destination)
    add_custom_command(OUTPUT ${TESSERA_MANUAL_DIR}/${file}
      COMMAND tessera manual ${form} > ${TESSERA_MANUAL_DIR}/${file}
      DEPENDS tessera COMMENT "Making ${file}" VERBATIM)
    list(APPEND TESSERA_MANUAL ${TESSERA_MANUAL_DIR}/${file})
    set(TESSERA_MANUAL ${TESSERA_MANUAL} PARENT_SCOPE)
    if(TESSERA_INSTALL)
      install(FILES ${TESSERA_MANUAL_DIR}/${file} DESTINATION ${destination} COMPONENT tools ${ARGN})
    endif()
  endfunction()
  tessera_manual(man tessera.1 ${CMAKE_INSTALL_MANDIR}/man1)
  tessera_manual(bash tessera.bash ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME tessera)
  tessera_manual(zsh _tessera ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  tessera_manual(fish tessera.fish ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
  add_custom_target(tessera_manual ALL DEPENDS ${TESSERA_MANUAL})
endif()
