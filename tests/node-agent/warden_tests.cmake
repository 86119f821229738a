# warden_tests.cmake - the tests of node-agent/warden and of the link to it.

add_library(leat_test_warden_world STATIC warden_world.cc)
target_compile_options(leat_test_warden_world PRIVATE ${LEAT_WARNINGS})
target_compile_definitions(leat_test_warden_world
  PUBLIC LEAT_WARDEN_PROGRAM="$<TARGET_FILE:leat-warden>")
target_link_libraries(leat_test_warden_world PUBLIC leat::warden_link leat::warden)
add_dependencies(leat_test_warden_world leat-warden)

leat_test(node_agent_warden_test SPEAKS
  SOURCES warden_cgroup_places_test.cc warden_parts_test.cc warden_records_test.cc
  DEPS leat_test_warden_world
  LABELS unit)

leat_test(node_agent_warden_e2e_test SPEAKS
  SOURCES warden_adopt_test.cc warden_cgroups_test.cc warden_end_test.cc warden_memory_test.cc
          warden_run_test.cc
  DEPS leat_test_warden_world
  LABELS e2e)
