# What is installed, and the files by which CMake and pkg-config find it.
include(CMakePackageConfigHelpers)
set(TESSERA_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tessera)
# Directories that are absolute stay as they are; others are found from the file, which may be moved.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(TESSERA_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
  set(TESSERA_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
else()
  file(RELATIVE_PATH TESSERA_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  set(TESSERA_PC_PREFIX "\${pcfiledir}/${TESSERA_PREFIX_FROM_PC}")
  set(TESSERA_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(TESSERA_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
else()
  set(TESSERA_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(tessera.pc.in tessera.pc @ONLY)
write_basic_package_version_file(tesseraConfigVersion.cmake COMPATIBILITY SameMinorVersion)
# Components: runtime (what a program needs that was linked), development (what linking one needs),
# tools (the command-line program), plugins (runtime/CMakeLists.txt).
if(TESSERA_BUILD_TOOL OR TESSERA_BUILD_TESTS)
  install(TARGETS tessera COMPONENT tools)
endif()
install(TARGETS tessera_shared EXPORT tesseraTargets
        LIBRARY COMPONENT runtime NAMELINK_COMPONENT development)
install(FILES tessera.h tessera.hpp ${PROJECT_BINARY_DIR}/include/tessera/version.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tessera COMPONENT development)
install(FILES ${TESSERA_ARCHIVE} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(FILES tesseraConfig.cmake DESTINATION ${TESSERA_CMAKE_DIR} COMPONENT development)
install(EXPORT tesseraTargets NAMESPACE tessera:: FILE tesseraTargets.cmake
        DESTINATION ${TESSERA_CMAKE_DIR} COMPONENT development)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tesseraConfigVersion.cmake
        DESTINATION ${TESSERA_CMAKE_DIR} COMPONENT development)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/tessera.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
