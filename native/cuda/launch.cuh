// Host side of the launchers: errors, grids and workspaces.
#ifndef IGD_CUDA_LAUNCH_CUH_
#define IGD_CUDA_LAUNCH_CUH_

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(IGD_CUDA_EMULATION)
#include "cuda_emulation.h"
#else
#include <cuda_runtime_api.h>
#endif

#include "../cpu/checks.h"
#include "common.cuh"
#include "igd/kernels_cuda.h"
#include "pooling.cuh"

namespace igd {
namespace cuda {

// Blocks of `per_block` items each; a launch takes at most 2^31-1.
inline int64_t blocks_for(int64_t items, int64_t per_block) { return (items + per_block - 1) / per_block; }
constexpr int64_t kMostBlocks = 2147483647;

// Status of the launches since the last call.
inline igd_status launched(const char* function) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return IGD_OK;
  return fail(IGD_UNSUPPORTED, "%s: CUDA error %d: %s", function, static_cast<int>(error),
              cudaGetErrorString(error));
}

// Refuses what would need more blocks than a grid has.
inline bool fits(const char* function, int64_t blocks) {
  if (blocks <= kMostBlocks) return true;
  fail(IGD_UNSUPPORTED, "%s: expected work for at most 2^31-1 blocks, got %lld; use smaller batches",
       function, static_cast<long long>(blocks));
  return false;
}

// Workspace parts, each aligned to 16 bytes.
inline int64_t aligned(int64_t bytes) { return (bytes + 15) / 16 * 16; }

// Blocks that launch_pool needs: at most one warp per unit.
inline int64_t pool_blocks(int64_t n, int64_t units) { return blocks_for(n * units, kThreads / kWarp); }

#if defined(IGD_CUDA_EMULATION)
using igd_emulation::launch;
#else
// Starts `blocks` blocks of kThreads threads.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, cudaStream_t stream, Arguments... arguments) {
  // clang-format off
  kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(static_cast<Parameters>(arguments)...);
  // clang-format on
}
#endif

template <typename T, typename Acc, typename Out>
void launch_pool(const T* a, DeviceStrides stride, int64_t n, int64_t units, int64_t s, Out* pooled,
                 cudaStream_t stream) {
  if (stride.s == 1 && s > 1) {
    int width = 1;
    while (width < kWarp && width < s) width *= 2;
    launch(pool_rows<T, Acc, Out>, blocks_for(n * units, kThreads / width), stream, a, stride, n, units, s,
           width, pooled);
  } else {
    launch(pool_columns<T, Acc, Out>, blocks_for(n * units, kThreads), stream, a, stride, n, units, s,
           pooled);
  }
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_LAUNCH_CUH_
