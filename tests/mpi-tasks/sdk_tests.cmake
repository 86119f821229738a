leat_test(sdk_test
  SOURCES coverage_test.cc partial_test.cc payload_test.cc reducer_test.cc task_test.cc
  DEPS leat::task leat::base nlohmann_json::nlohmann_json
  LABELS unit)

find_package(Python3 REQUIRED COMPONENTS Interpreter)

function(sdk_script name label)
  add_test(NAME sdk.${name}
           COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py ${ARGN})
  set_tests_properties(sdk.${name} PROPERTIES LABELS ${label} TIMEOUT 300 ENVIRONMENT
                       PYTHONDONTWRITEBYTECODE=1)
endfunction()

sdk_script(program unit $<TARGET_FILE:pi>)
sdk_script(install e2e ${PROJECT_BINARY_DIR} ${CMAKE_CXX_COMPILER} "${LEAT_SANITIZE}")
find_package(MPI COMPONENTS CXX)  # its target is seen only where it was looked for
if(TARGET pi_mpi)
  add_executable(mpi_reduce_ranks mpi_reduce_ranks.cc)
  target_compile_options(mpi_reduce_ranks PRIVATE ${LEAT_WARNINGS})
  target_compile_definitions(mpi_reduce_ranks PRIVATE OMPI_SKIP_MPICXX)
  target_link_libraries(mpi_reduce_ranks PRIVATE leat::task MPI::MPI_CXX)
  sdk_script(mpi_reduce e2e ${MPIEXEC_EXECUTABLE} $<TARGET_FILE:mpi_reduce_ranks>
             $<TARGET_FILE:pi_mpi>)
  set_tests_properties(sdk.mpi_reduce PROPERTIES RESOURCE_LOCK mpi)  # what mpirun shares is seen
endif()
