# igd_flags: warnings, visibility, reproducible paths and the sanitizer, for every target of ours.
# igd_link_threads(target): OpenMP, or std::thread under the thread sanitizer.
add_library(igd_flags INTERFACE)
target_compile_options(igd_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall> $<$<COMPILE_LANGUAGE:CXX>:-Wextra> $<$<COMPILE_LANGUAGE:CXX>:-Werror>
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility=hidden> $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>
  # The build must not depend on where it happens.
  $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${IGD_ROOT}=.>
  $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${CMAKE_BINARY_DIR}=build>)
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")

set(_sanitizers none address undefined address,undefined undefined,address thread)
if(NOT IGD_SANITIZER IN_LIST _sanitizers)
  message(FATAL_ERROR "IGD_SANITIZER: expected one of ${_sanitizers}, got '${IGD_SANITIZER}'")
endif()
if(NOT IGD_SANITIZER STREQUAL "none")
  target_compile_options(igd_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${IGD_SANITIZER}>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer> $<$<COMPILE_LANGUAGE:CXX>:-g1>)
  set(CMAKE_CXX_FLAGS_RELEASE "-O1 -DNDEBUG")
  target_link_options(igd_flags INTERFACE -fsanitize=${IGD_SANITIZER})
endif()

find_package(Threads REQUIRED)
if(NOT IGD_SANITIZER STREQUAL "thread")
  find_package(OpenMP REQUIRED COMPONENTS CXX)
endif()

function(igd_link_threads target)
  if(IGD_SANITIZER STREQUAL "thread")
    # libgomp is not instrumented: its barriers would be invisible and every hand-over reported as a race.
    target_compile_definitions(${target} PRIVATE IGD_STD_THREADS)
    target_link_libraries(${target} PRIVATE Threads::Threads)
  else()
    target_link_libraries(${target} PRIVATE OpenMP::OpenMP_CXX)
  endif()
endfunction()
