# libigd_kernels_cuda: device code for every supported architecture and PTX for later ones; spills are errors.
set(IGD_CUDA_ARCHITECTURES "80;86;89;90;100;120" CACHE STRING "CUDA architectures")
list(TRANSFORM IGD_CUDA_ARCHITECTURES APPEND "-real" OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
list(GET IGD_CUDA_ARCHITECTURES -1 _newest)
list(APPEND CMAKE_CUDA_ARCHITECTURES "${_newest}-virtual")
set(CMAKE_CUDA_COMPILER "${IGD_NVCC}")
enable_language(CUDA)

add_library(igd_kernels_cuda SHARED "${IGD_NATIVE}/cuda/device.cu" "${IGD_NATIVE}/cuda/graph.cu")
include(IgdCudaSources)
foreach(_name IN LISTS IGD_CUDA_SOURCES)
  target_sources(igd_kernels_cuda PRIVATE "${IGD_NATIVE}/cuda/${_name}.cu")
endforeach()
target_include_directories(igd_kernels_cuda PUBLIC
  "$<BUILD_INTERFACE:${IGD_NATIVE}/include>" "$<INSTALL_INTERFACE:include>")
list(JOIN IGD_CUDA_ARCHITECTURES " " _names)
target_compile_definitions(igd_kernels_cuda PRIVATE
  IGD_VERSION="${PROJECT_VERSION}" "IGD_CUDA_ARCHITECTURES=\"${_names}\"")
target_compile_options(igd_kernels_cuda PRIVATE
  -Xptxas=-v,-warn-spills,-warn-lmem-usage,-Werror
  -Werror=all-warnings
  -Xcompiler=-Wall,-Wextra,-Wno-unused-function,-fvisibility=hidden,-fvisibility-inlines-hidden
  -Xcompiler=-ffile-prefix-map=${IGD_ROOT}=.)
target_link_options(igd_kernels_cuda PRIVATE -Wl,--no-undefined)
set_target_properties(igd_kernels_cuda PROPERTIES
  CUDA_STANDARD 17 CUDA_RUNTIME_LIBRARY Static CUDA_SEPARABLE_COMPILATION OFF NO_SONAME ON)

include(IgdCudaEvidence)

# A component of its own: `cmake --install BUILD --component cuda` leaves the CPU library alone.
install(TARGETS igd_kernels_cuda LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT cuda)
install(FILES "${IGD_NATIVE}/include/igd/kernels_cuda.h" "${IGD_NATIVE}/include/igd/device_cuda.h"
  "${IGD_NATIVE}/include/igd/graph_cuda.h" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/igd" COMPONENT cuda)
if(IGD_JNI_DIR)
  install(TARGETS igd_kernels_cuda LIBRARY DESTINATION "${IGD_JNI_DIR}" COMPONENT cuda)
endif()
