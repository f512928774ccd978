# Native tests (ctest) and the micro-benchmark.
add_executable(igd_kernel_tests
  "${IGD_NATIVE}/test/test_main.cpp"
  "${IGD_NATIVE}/test/test_api.cpp"
  "${IGD_NATIVE}/test/test_loo_penultimate.cpp"
  "${IGD_NATIVE}/test/test_masked_head.cpp")
target_link_libraries(igd_kernel_tests PRIVATE igd_kernels igd_flags Threads::Threads)

add_executable(igd_bench_kernels "${IGD_NATIVE}/test/bench_kernels.cpp")
target_link_libraries(igd_bench_kernels PRIVATE igd_kernels igd_flags)

add_executable(igd_consumer "${IGD_NATIVE}/test/consumer/consumer.cpp")
target_link_libraries(igd_consumer PRIVATE igd_kernels igd_flags)

foreach(group api loo_penultimate masked_head)
  add_test(NAME ${group} COMMAND igd_kernel_tests ${group})
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
