# The SDK for task programs: a static library that needs nothing else of Leat, and its headers.

find_package(Boost 1.74 REQUIRED COMPONENTS serialization)
find_package(TBB REQUIRED)
include(CMakePackageConfigHelpers)

set(sdk ${CMAKE_CURRENT_LIST_DIR})
file(STRINGS ${sdk}/include/leat/version.h numbers REGEX "define LEAT_SDK_VERSION_")
list(TRANSFORM numbers REPLACE ".* " "")
list(JOIN numbers . LEAT_SDK_VERSION)

set(sdk_headers coverage.h partial.h payload.h program.h reducer.h task.h version.h)
# These need a library that a program may well not have.
set(sdk_headers_for_some input_json.h mpi_program.h mpi_reduce.h)
list(TRANSFORM sdk_headers PREPEND ${sdk}/include/leat/)
list(TRANSFORM sdk_headers_for_some PREPEND ${sdk}/include/leat/)

# crc32c.cc is compiled once more, so that no second library has to be installed.
add_library(leat_task STATIC sdk/coverage.cc sdk/payload.cc sdk/task.cc
            ${PROJECT_SOURCE_DIR}/base/crc32c.cc)
add_library(leat::task ALIAS leat_task)
target_compile_options(leat_task PRIVATE ${LEAT_WARNINGS})
target_compile_features(leat_task PUBLIC cxx_std_20)
target_include_directories(leat_task PRIVATE ${PROJECT_SOURCE_DIR})
target_sources(leat_task PUBLIC FILE_SET HEADERS BASE_DIRS ${sdk}/include FILES ${sdk_headers})
target_link_libraries(leat_task PUBLIC Boost::serialization TBB::tbb)
set_target_properties(leat_task PROPERTIES EXPORT_NAME task POSITION_INDEPENDENT_CODE ON)

add_dependencies(programs leat_task)
install(TARGETS leat_task EXPORT leat-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        COMPONENT sdk FILE_SET HEADERS COMPONENT sdk)
install(FILES ${sdk_headers_for_some} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/leat COMPONENT sdk)

set(sdk_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/leat)
configure_package_config_file(${sdk}/sdk/leat-config.cmake.in leat-config.cmake
                              INSTALL_DESTINATION ${sdk_config_dir})
write_basic_package_version_file(leat-config-version.cmake VERSION ${LEAT_SDK_VERSION}
                                 COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH LEAT_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${sdk}/sdk/leat.pc.in leat.pc @ONLY)
install(EXPORT leat-targets NAMESPACE leat:: DESTINATION ${sdk_config_dir} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/leat-config.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/leat-config-version.cmake
        DESTINATION ${sdk_config_dir} COMPONENT sdk)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/leat.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT sdk)
