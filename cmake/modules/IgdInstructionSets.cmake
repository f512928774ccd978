# igd_add_instruction_sets(target source...): compiles the sources once per instruction set, each in a
# namespace of its own, and links them all into the target; the target's dispatcher picks one at run time.
function(igd_add_instruction_set target name vector_bytes)
  cmake_parse_arguments(arg "" "" "FLAGS;SOURCES" ${ARGN})
  set(object ${target}_${name})
  add_library(${object} OBJECT ${arg_SOURCES})
  target_include_directories(${object} PRIVATE "${IGD_NATIVE}/include" "${IGD_NATIVE}/cpu")
  target_compile_definitions(${object} PRIVATE IGD_ISA_NAMESPACE=${name} IGD_VECTOR_BYTES=${vector_bytes})
  # Sanitized kernels are unrolled and checked at every load: -O3 would take minutes to compile.
  set(optimize -O3)
  if(NOT IGD_SANITIZER STREQUAL "none")
    set(optimize -O1)
  endif()
  # No -ffast-math: NaN and infinity must survive. Contraction to FMA is wanted.
  target_compile_options(${object} PRIVATE ${optimize} -ffp-contract=fast -fno-math-errno ${arg_FLAGS})
  target_link_libraries(${object} PRIVATE igd_flags)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
endfunction()

function(igd_add_instruction_sets target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    igd_add_instruction_set(${target} portable 0 FLAGS -march=x86-64-v2 SOURCES ${ARGN})
    igd_add_instruction_set(${target} avx2 32 FLAGS -march=x86-64-v3 SOURCES ${ARGN})
    igd_add_instruction_set(${target} avx512 64
      FLAGS -march=x86-64-v4 -mprefer-vector-width=512 SOURCES ${ARGN})
    target_compile_definitions(${target} PRIVATE IGD_HAVE_X86_ISAS)
  else()
    igd_add_instruction_set(${target} portable 0 SOURCES ${ARGN})
  endif()
endfunction()
