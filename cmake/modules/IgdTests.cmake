# Native tests (ctest) and the micro-benchmark.
add_executable(igd_kernel_tests
  "${IGD_NATIVE}/test/test_main.cpp"
  "${IGD_NATIVE}/test/test_api.cpp"
  "${IGD_NATIVE}/test/test_cdir_score.cpp"
  "${IGD_NATIVE}/test/test_defended.cpp"
  "${IGD_NATIVE}/test/test_loo_interior.cpp"
  "${IGD_NATIVE}/test/test_loo_penultimate.cpp"
  "${IGD_NATIVE}/test/test_masked_head.cpp"
  "${IGD_NATIVE}/test/test_net.cpp")
target_link_libraries(igd_kernel_tests PRIVATE igd_kernels igd_flags Threads::Threads)

# The CUDA launchers and kernel bodies, compiled by the C++ compiler against an emulation of CUDA's execution
# model.
if(EXISTS "${IGD_NATIVE}/cuda/runtime.cu")
  include(IgdCudaSources)
  add_library(igd_cuda_emulated STATIC EXCLUDE_FROM_ALL "${IGD_NATIVE}/test/cuda_emulation.cpp")
  foreach(_name IN LISTS IGD_CUDA_SOURCES)
    set(_wrapper "${CMAKE_BINARY_DIR}/emulated/${_name}.cpp")
    file(CONFIGURE OUTPUT "${_wrapper}" CONTENT "#include \"cuda_emulation.h\"\n\n#include \"${_name}.cu\"\n")
    target_sources(igd_cuda_emulated PRIVATE "${_wrapper}")
  endforeach()
  target_include_directories(igd_cuda_emulated PRIVATE
    "${IGD_NATIVE}/include" "${IGD_NATIVE}/cuda" "${IGD_NATIVE}/test")
  target_compile_definitions(igd_cuda_emulated PRIVATE
    IGD_CUDA_EMULATION IGD_VERSION="${PROJECT_VERSION}" IGD_CUDA_ARCHITECTURES="none")
  target_link_libraries(igd_cuda_emulated PRIVATE igd_flags)
  if(IGD_SANITIZER STREQUAL "thread")
    # The scheduler orders nothing: it tells the sanitizer of its fibers and of the barriers by hand.
    set_source_files_properties("${IGD_NATIVE}/test/cuda_emulation.cpp" PROPERTIES
      COMPILE_OPTIONS "-fno-sanitize=thread" COMPILE_DEFINITIONS IGD_EMULATION_TSAN)
  endif()
  target_sources(igd_kernel_tests PRIVATE
    "${IGD_NATIVE}/test/kernel_cases.cpp"
    "${IGD_NATIVE}/test/test_cuda_emulated.cpp"
    "${IGD_NATIVE}/test/test_cuda_traffic.cpp")
  target_compile_definitions(igd_kernel_tests PRIVATE IGD_CUDA_EMULATION)
  target_link_libraries(igd_kernel_tests PRIVATE igd_cuda_emulated)
  add_test(NAME kernel_cases COMMAND igd_kernel_tests kernel_cases)
  add_test(NAME cuda_emulated COMMAND igd_kernel_tests cuda_emulated)
  add_test(NAME cuda_traffic COMMAND igd_kernel_tests cuda_traffic)
  set_tests_properties(cuda_traffic PROPERTIES ENVIRONMENT "IGD_TRAFFIC_TSV=${CMAKE_BINARY_DIR}/cuda_traffic.tsv")
endif()

if(IGD_WITH_CUDA)
  add_test(NAME cuda_ptx COMMAND bash "${IGD_NATIVE}/test/check_ptx.sh" ${IGD_PTX_FILES} COMMAND_EXPAND_LISTS)
endif()

add_executable(igd_bench_kernels "${IGD_NATIVE}/test/bench_kernels.cpp")
target_link_libraries(igd_bench_kernels PRIVATE igd_kernels igd_flags)

add_executable(igd_bench_net_batch "${IGD_NATIVE}/test/bench_net_batch.cpp")
target_link_libraries(igd_bench_net_batch PRIVATE igd_kernels igd_flags)

add_executable(igd_consumer "${IGD_NATIVE}/test/consumer/consumer.cpp")
target_link_libraries(igd_consumer PRIVATE igd_kernels igd_flags)

# Under the thread sanitizer only what runs in several threads: the rest would take long and show nothing.
set(_groups api threads)
if(NOT IGD_SANITIZER STREQUAL "thread")
  list(APPEND _groups loo_interior loo_penultimate masked_head cdir_score net defended)
endif()
foreach(_group IN LISTS _groups)
  add_test(NAME ${_group} COMMAND igd_kernel_tests ${_group})
endforeach()
add_test(NAME consumer COMMAND igd_consumer)
# The environment variable can only lower the instruction set.
add_test(NAME isa_environment COMMAND igd_kernel_tests isa_environment)
set_tests_properties(isa_environment PROPERTIES ENVIRONMENT "IGD_ISA=portable")
# A test that must fail, so that a green run means that failures are seen.
add_test(NAME failure_is_seen COMMAND igd_kernel_tests self_check)
set_tests_properties(failure_is_seen PROPERTIES WILL_FAIL ON)
if(IGD_SANITIZER MATCHES "address|thread")
  # The sanitizer must report a planted fault inside the library: a buffer overrun; under thread, a race.
  add_test(NAME sanitizer_sees_fault COMMAND igd_kernel_tests planted_fault)
  set_tests_properties(sanitizer_sees_fault PROPERTIES
    PASS_REGULAR_EXPRESSION "AddressSanitizer: heap-buffer-overflow|ThreadSanitizer: data race")
endif()
