# leat.cmake - the one way a folder declares what it builds.

include(GNUInstallDirs)

option(LEAT_WERROR "Treat warnings as errors" OFF)
option(LEAT_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
set(LEAT_SANITIZE "" CACHE STRING "Sanitizers for everything, e.g. address,undefined or thread")
option(LEAT_PRECOMPILE "Parse once what most files include; hides what a file forgets" OFF)

set(LEAT_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor
    -Woverloaded-virtual
    -Wno-maybe-uninitialized)  # g++ 12 sees such values in kj::Maybe where there are none
if(LEAT_WERROR)
  list(APPEND LEAT_WARNINGS -Werror)
endif()
if(LEAT_SANITIZE)
  # What is left out costs a quarter of the build and is seen by AddressSanitizer where it matters.
  add_compile_options(-fsanitize=${LEAT_SANITIZE} -fno-sanitize=null,vptr,object-size
                      -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
  add_link_options(-fsanitize=${LEAT_SANITIZE})
endif()
add_compile_definitions(_GLIBCXX_ASSERTIONS)
set(LEAT_TEST_OPTIONS "")
if(LEAT_SANITIZE)
  set(LEAT_TEST_OPTIONS -O0 -fno-sanitize=undefined)
endif()

# What nearly every file that speaks Cap'n Proto includes.
set(LEAT_PRECOMPILED <algorithm> <array> <chrono> <cstdint> <functional> <map> <memory> <optional>
    <set> <span> <string> <string_view> <utility> <variant> <vector>
    <kj/async-io.h> <kj/debug.h> <capnp/capability.h> <capnp/message.h> <capnp/serialize.h>
    <schema/agent.capnp.h> <schema/data.capnp.h> <schema/pools.capnp.h> <schema/scheduler.capnp.h>)

# leat_precompile(name OPTIONS … HEADERS …): the target whose precompiled headers others reuse.
function(leat_precompile name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;HEADERS;DEPS")
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/generated/${name}.cc CONTENT "// Has no code.\n")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/generated/${name}.cc)
  target_compile_options(${name} PRIVATE ${LEAT_WARNINGS} ${arg_OPTIONS})
  target_link_libraries(${name} PRIVATE leat::schema ${arg_DEPS})
  target_precompile_headers(${name} PRIVATE ${LEAT_PRECOMPILED} ${arg_HEADERS})
endfunction()

# leat_reuse(name from): its files begin with what the target `from` has precompiled.
function(leat_reuse name from)
  if(LEAT_PRECOMPILE)
    target_precompile_headers(${name} REUSE_FROM ${from})
  endif()
endfunction()

# leat_library(name [SPEAKS] SOURCES … HEADERS … DEPS …): static library leat_<name>, alias
# leat::<name>. SPEAKS: most of its files include Cap'n Proto's headers.
function(leat_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SPEAKS" "" "SOURCES;HEADERS;DEPS")
  if(arg_SOURCES)
    add_library(leat_${name} STATIC ${arg_SOURCES})
    if(arg_SPEAKS)
      leat_reuse(leat_${name} leat_precompiled)
    endif()
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

# All that is installed: build this, and `cmake --install` has what it wants.
add_custom_target(programs)

# leat_program(name [SPEAKS] SOURCES … DEPS …): an installed executable.
function(leat_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SPEAKS" "" "SOURCES;DEPS")
  add_executable(${name} ${arg_SOURCES})
  if(arg_SPEAKS)
    leat_reuse(${name} leat_precompiled)
  endif()
  target_compile_options(${name} PRIVATE ${LEAT_WARNINGS})
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  add_dependencies(programs ${name})
endfunction()

# leat_test(name [LONG] [SPEAKS] [LOCK NAME] SOURCES … DEPS … LABELS …): one GoogleTest binary, its
# tests found by ctest. SPEAKS: as above. LOCK: no two tests with the same lock run at a time.
# LONG: it computes for long, so that optimising it pays. The code of the other tests, not what they
# test, is built without optimisation and undefined-behaviour sanitizer: in half the time.
function(leat_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LONG;SPEAKS" "LOCK" "SOURCES;DEPS;LABELS")
  set(lock "")
  if(arg_LOCK)
    set(lock RESOURCE_LOCK ${arg_LOCK})
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_compile_options(${name} PRIVATE ${LEAT_WARNINGS})
  if(NOT arg_LONG)
    target_compile_options(${name} PRIVATE ${LEAT_TEST_OPTIONS})
    if(arg_SPEAKS)
      leat_reuse(${name} leat_precompiled_tests)
    endif()
  endif()
  target_link_libraries(${name} PRIVATE ${arg_DEPS} GTest::gtest_main)
  gtest_discover_tests(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300 ${lock}
                       DISCOVERY_TIMEOUT 60)
endfunction()
