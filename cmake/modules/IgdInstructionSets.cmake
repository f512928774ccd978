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

# igd_add_net_kernels(target source): the tile kernels of compiled networks, in plain C++ and, where the compiler
# knows them, with the instructions of AMX-BF16.
function(igd_add_net_kernels target source)
  include(CheckCXXSourceCompiles)
  # gcc 12's AVX-512 header makes its own undefined vectors, and warns of them (GCC bug 105593).
  set(amx_flags -march=x86-64-v4 -mprefer-vector-width=512 -mavx512bf16 -mamx-tile -mamx-bf16
    -Wno-uninitialized -Wno-maybe-uninitialized)
  list(JOIN amx_flags " " CMAKE_REQUIRED_FLAGS)
  check_cxx_source_compiles("
    #include <immintrin.h>
    #if !defined(__linux__) || !defined(__x86_64__)
    #error AMX needs Linux on x86-64
    #endif
    int main() { _tile_zero(0); _tile_dpbf16ps(0, 1, 2); return 0; }" IGD_COMPILER_HAS_AMX)
  unset(CMAKE_REQUIRED_FLAGS)
  igd_add_net_kernel(${target} net_portable "${source}" IGD_NET_AMX=0)
  if(IGD_COMPILER_HAS_AMX)
    igd_add_net_kernel(${target} net_amx "${source}" IGD_NET_AMX=1 ${amx_flags})
    target_compile_definitions(${target} PRIVATE IGD_HAVE_AMX)
    target_compile_definitions(${target}_net_amx PRIVATE IGD_HAVE_AMX)
  endif()
endfunction()

function(igd_add_net_kernel target name source definition)
  set(object ${target}_${name})
  add_library(${object} OBJECT "${source}")
  target_include_directories(${object} PRIVATE "${IGD_NATIVE}/include" "${IGD_NATIVE}/cpu")
  target_compile_definitions(${object} PRIVATE ${definition})
  set(optimize -O3)
  if(NOT IGD_SANITIZER STREQUAL "none")
    set(optimize -O1)
  endif()
  target_compile_options(${object} PRIVATE ${optimize} -fno-math-errno ${ARGN})
  target_link_libraries(${object} PRIVATE igd_flags)
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${object}>)
endfunction()
