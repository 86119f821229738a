# leat.cmake - the one way a folder declares what it builds.

include(GNUInstallDirs)

option(LEAT_WERROR "Treat warnings as errors" OFF)
option(LEAT_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(LEAT_SANITIZE "" CACHE STRING "Sanitizers for everything, e.g. address,undefined or thread")

set(LEAT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor
    -Woverloaded-virtual
    -Wno-maybe-uninitialized)  # g++ 12 sees such values in kj::Maybe where there are none
if(LEAT_WERROR)
  list(APPEND LEAT_WARNINGS -Werror)
endif()
if(LEAT_SANITIZE)
  add_compile_options(-fsanitize=${LEAT_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${LEAT_SANITIZE})
endif()
add_compile_definitions(_GLIBCXX_ASSERTIONS)

# leat_library(name SOURCES … HEADERS … DEPS …): static library leat_<name>, alias leat::<name>.
function(leat_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;DEPS")
  if(arg_SOURCES)
    add_library(leat_${name} STATIC ${arg_SOURCES})
    target_compile_options(leat_${name} PRIVATE ${LEAT_WARNINGS})
    target_include_directories(leat_${name} PUBLIC ${PROJECT_SOURCE_DIR})
    target_sources(leat_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                   FILES ${arg_HEADERS})
    target_link_libraries(leat_${name} PUBLIC ${arg_DEPS})
  else()
    add_library(leat_${name} INTERFACE)
    target_include_directories(leat_${name} INTERFACE ${PROJECT_SOURCE_DIR})
    target_sources(leat_${name} INTERFACE FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                   FILES ${arg_HEADERS})
    target_link_libraries(leat_${name} INTERFACE ${arg_DEPS})
  endif()
  add_library(leat::${name} ALIAS leat_${name})
endfunction()

# leat_program(name SOURCES … DEPS …): an installed executable.
function(leat_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${LEAT_WARNINGS})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# leat_test(name [LONG] SOURCES … DEPS … LABELS …): one GoogleTest binary, its tests found by ctest.
# LONG: it computes for long, so that optimising it pays. The code of the other tests, not what they
# test, is built without optimisation and undefined-behaviour sanitizer: in half the time.
function(leat_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LONG" "" "SOURCES;DEPS;LABELS")
  add_executable(${name} ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${LEAT_WARNINGS})
  if(LEAT_SANITIZE AND NOT arg_LONG)
    target_compile_options(${name} PRIVATE -O0 -fno-sanitize=undefined)
  endif()
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gtest_main)
  gtest_discover_tests(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300 DISCOVERY_TIMEOUT 60)
endfunction()
