# igd_remove_stale(file...): removes what an earlier configuration with other options left in the build
# folder, the install folder and IGD_JNI_DIR.
function(igd_remove_stale)
  foreach(file IN LISTS ARGN)
    foreach(folder "${CMAKE_BINARY_DIR}" "${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_LIBDIR}" "${IGD_JNI_DIR}"
        "${IGD_LAST_JNI_DIR}")
      if(folder AND EXISTS "${folder}/${file}")
        message(STATUS "Removing stale ${folder}/${file}")
        file(REMOVE "${folder}/${file}")
      endif()
    endforeach()
  endforeach()
endfunction()

# A changed IGD_JNI_DIR leaves the old folder's library behind.
if(IGD_LAST_JNI_DIR AND NOT IGD_LAST_JNI_DIR STREQUAL IGD_JNI_DIR)
  file(REMOVE "${IGD_LAST_JNI_DIR}/libigd_kernels.so" "${IGD_LAST_JNI_DIR}/libigd_kernels_cuda.so")
endif()
set(IGD_LAST_JNI_DIR "${IGD_JNI_DIR}" CACHE INTERNAL "IGD_JNI_DIR of the last configuration")
