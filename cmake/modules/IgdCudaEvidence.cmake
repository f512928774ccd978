# What can be shown of the CUDA kernels without a card: cuda_resources.tsv in the build folder (registers, shared
# memory, spills and local memory per kernel and architecture; the build fails on spills and on local memory), and a
# test that searches the PTX for the accesses that the files' headers claim.
set(_logs "${CMAKE_BINARY_DIR}/ptxas")
file(MAKE_DIRECTORY "${_logs}")
set_target_properties(igd_kernels_cuda PROPERTIES
  CUDA_COMPILER_LAUNCHER "bash;${CMAKE_CURRENT_SOURCE_DIR}/ptxas_log.sh;${_logs}")
add_custom_command(TARGET igd_kernels_cuda POST_BUILD
  COMMAND bash "${CMAKE_CURRENT_SOURCE_DIR}/cuda_resources.sh" "${_logs}" "${CMAKE_BINARY_DIR}/cuda_resources.tsv"
  VERBATIM)

if(IGD_BUILD_TESTS)
  add_library(igd_kernels_ptx OBJECT)
  foreach(_name IN LISTS IGD_CUDA_SOURCES)
    target_sources(igd_kernels_ptx PRIVATE "${IGD_NATIVE}/cuda/${_name}.cu")
  endforeach()
  target_include_directories(igd_kernels_ptx PRIVATE "${IGD_NATIVE}/include")
  target_compile_definitions(igd_kernels_ptx PRIVATE
    IGD_VERSION="${PROJECT_VERSION}" "IGD_CUDA_ARCHITECTURES=\"${_names}\"")
  set_target_properties(igd_kernels_ptx PROPERTIES
    CUDA_STANDARD 17 CUDA_PTX_COMPILATION ON CUDA_ARCHITECTURES "${_newest}-virtual")
  # enable_testing() comes after this file.
  set(IGD_PTX_FILES "$<TARGET_OBJECTS:igd_kernels_ptx>")
endif()
