# Decides whether the CUDA library is built. An nvcc on the PATH may be a wrapper without a toolkit behind it,
# so auto runs it. Sets IGD_WITH_CUDA.
string(TOLOWER "${IGD_CUDA}" _cuda)
if(NOT _cuda MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "IGD_CUDA: expected auto, on or off, got '${IGD_CUDA}'")
endif()

set(IGD_WITH_CUDA OFF)
set(_sources "${IGD_NATIVE}/cuda/loo_penultimate.cu" "${IGD_NATIVE}/cuda/masked_head.cu")
set(_sources_exist ON)
foreach(_source IN LISTS _sources)
  if(NOT EXISTS "${_source}")
    set(_sources_exist OFF)
  endif()
endforeach()

if(NOT _cuda STREQUAL "off" AND _sources_exist)
  find_program(IGD_NVCC nvcc HINTS "$ENV{CUDA_HOME}/bin" /usr/local/cuda/bin)
  set(_nvcc_works OFF)
  if(IGD_NVCC)
    execute_process(COMMAND "${IGD_NVCC}" --version
      RESULT_VARIABLE _rc OUTPUT_VARIABLE _out ERROR_VARIABLE _err)
    if(_rc EQUAL 0 AND _out MATCHES "release ([0-9]+)\\.([0-9]+)")
      set(_nvcc_works ON)
    endif()
  endif()
  if(_nvcc_works AND IGD_SANITIZER STREQUAL "none")
    set(IGD_WITH_CUDA ON)
  elseif(_cuda STREQUAL "on")
    message(FATAL_ERROR "IGD_CUDA=on: expected a CUDA toolkit whose `nvcc --version` succeeds (and no "
      "sanitizer), found '${IGD_NVCC}' ${_rc} ${_err}; install one or pass -DIGD_CUDA=off")
  endif()
endif()

if(IGD_WITH_CUDA)
  include(IgdCudaLibrary)
else()
  igd_remove_stale(libigd_kernels_cuda.so)
  file(REMOVE "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/igd/kernels_cuda.h"
    "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/igd/graph_cuda.h"
    "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/igd/device_cuda.h")
endif()
message(STATUS "igd_kernels ${PROJECT_VERSION}: CUDA ${IGD_WITH_CUDA}, sanitizer ${IGD_SANITIZER}")
