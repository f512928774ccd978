# igd_device_tests: the table of kernels on a real device, where there is one; reported as skipped elsewhere.
if(IGD_WITH_CUDA AND EXISTS "${IGD_NATIVE}/test/kernel_cases.cpp")
  find_library(IGD_CUDART_STATIC cudart_static REQUIRED
    HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} PATH_SUFFIXES lib64 lib)
  add_executable(igd_device_tests
    "${IGD_NATIVE}/test/test_device.cpp"
    "${IGD_NATIVE}/test/kernel_cases.cpp")
  target_include_directories(igd_device_tests PRIVATE
    "${IGD_NATIVE}/test" ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
  target_link_libraries(igd_device_tests PRIVATE
    igd_kernels_cuda igd_kernels igd_flags "${IGD_CUDART_STATIC}" Threads::Threads ${CMAKE_DL_LIBS} rt)
  add_test(NAME device COMMAND igd_device_tests)
  set_tests_properties(device PROPERTIES SKIP_RETURN_CODE 77)
  # What can be checked without a device: arguments refused, errors told.
  add_test(NAME device_refusals COMMAND igd_device_tests --without-device)
endif()
