// Host side of the launchers: errors, grids, element types and alignment.
#ifndef IGD_CUDA_LAUNCH_CUH_
#define IGD_CUDA_LAUNCH_CUH_

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if !defined(IGD_CUDA_EMULATION)
#include <cuda_runtime_api.h>
#endif

#include "../cpu/checks.h"
#include "common.cuh"
#include "igd/kernels_cuda.h"

namespace igd {
namespace cuda {

// Blocks of `per_block` items each; a launch takes at most 2^31-1.
inline int64_t blocks_for(int64_t items, int64_t per_block) { return (items + per_block - 1) / per_block; }
constexpr int64_t kMostBlocks = 2147483647;
// Dynamic shared memory that every device gives without being asked.
constexpr int64_t kMostShared = 48 * 1024;

// Refuses what would need more blocks than a grid has.
inline bool fits(const char* function, int64_t blocks) {
  if (blocks <= kMostBlocks) return true;
  fail(IGD_UNSUPPORTED, "%s: expected work for at most 2^31-1 blocks, got %lld; use smaller batches",
       function, static_cast<long long>(blocks));
  return false;
}

// Refuses sizes of one image that do not fit 32-bit indices.
inline bool indexable(const char* function, const char* what, int64_t rows, int64_t columns) {
  int64_t total;
  if (!__builtin_mul_overflow(rows, columns, &total) && total <= kMostBlocks) return true;
  fail(IGD_UNSUPPORTED, "%s: expected at most 2^31-1 elements in %s, got %lld x %lld", function, what,
       static_cast<long long>(rows), static_cast<long long>(columns));
  return false;
}

// Workspace parts, each aligned to 16 bytes.
inline int64_t aligned(int64_t bytes) { return (bytes + 15) / 16 * 16; }

inline bool aligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }  // true for NULL

inline bool known_dtype(const char* function, int dtype) {
  if (dtype >= IGD_FLOAT32 && dtype <= IGD_FLOAT16) return true;
  fail(IGD_INVALID_ARGUMENT,
       "%s: dtype: expected 0 (float32), 1 (float64), 2 (bfloat16) or 3 (float16), got %d", function, dtype);
  return false;
}
inline int64_t bytes_of(int dtype) { return dtype == IGD_FLOAT32 ? 4 : dtype == IGD_FLOAT64 ? 8 : 2; }
inline int64_t accumulator_bytes_of(int dtype) { return dtype == IGD_FLOAT64 ? 8 : 4; }

// body(T()) for the type of `dtype`.
template <typename Body>
igd_status for_dtype(int dtype, const Body& body) {
  switch (dtype) {
    case IGD_FLOAT32:
      return body(float());
    case IGD_FLOAT64:
      return body(double());
    case IGD_BFLOAT16:
      return body(BFloat16());
    default:
      return body(Float16());
  }
}

// The launches of one call: after each the runtime is asked for errors, after an error nothing more is started.
class Launches {
 public:
  Launches(const char* function, void* stream)
      : function_(function), stream_(static_cast<cudaStream_t>(stream)) {}

  // Starts `blocks` blocks of kThreads threads with `shared` bytes of dynamic shared memory.
  template <typename... Parameters, typename... Arguments>
  void start(const char* kernel_name, void (*kernel)(Parameters...), int64_t blocks, int64_t shared,
             Arguments... arguments) {
    if (status_ != IGD_OK) return;
    if (!fits(function_, blocks)) {
      status_ = IGD_UNSUPPORTED;
      return;
    }
    if (shared > kMostShared) {
      const cudaError_t error =
          cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
      if (error != cudaSuccess) return failed(kernel_name, error);
    }
#if defined(IGD_CUDA_EMULATION)
    igd_emulation::launch(kernel_name, kernel, blocks, shared, stream_, arguments...);
#else
    // clang-format off
    kernel<<<static_cast<unsigned>(blocks), kThreads, static_cast<size_t>(shared), stream_>>>(
        static_cast<Parameters>(arguments)...);
    // clang-format on
#endif
    const cudaError_t error = cudaGetLastError();
    if (error != cudaSuccess) failed(kernel_name, error);
  }

  igd_status status() const { return status_; }

 private:
  void failed(const char* kernel_name, cudaError_t error) {
    status_ = fail(IGD_UNSUPPORTED, "%s: kernel %s: CUDA error %d: %s", function_, kernel_name,
                   static_cast<int>(error), cudaGetErrorString(error));
  }

  const char* function_;
  cudaStream_t stream_;
  igd_status status_ = IGD_OK;
};

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_LAUNCH_CUH_
