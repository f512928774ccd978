// What the kernel bodies share. Bodies (.cuh) hold device code only, launchers (.cu) the grid and the checks.
#ifndef IGD_CUDA_COMMON_CUH_
#define IGD_CUDA_COMMON_CUH_

#include <stdint.h>

// IGD_SHARED: an array in shared memory. IGD_DYNAMIC_SHARED: the memory that the launch asked for.
#if defined(IGD_CUDA_EMULATION)
#include "cuda_emulation.h"
#else
#define IGD_UNROLL _Pragma("unroll")
#define IGD_SHARED(T, name, count) __shared__ T name[count]
#define IGD_DYNAMIC_SHARED(T, name)      \
  extern __shared__ uint4 igd_dynamic[]; \
  T* const name = reinterpret_cast<T*>(igd_dynamic)
#endif

#include "memory.cuh"

namespace igd {
namespace cuda {

constexpr int kWarp = 32;
constexpr int kThreads = 256;  // threads of a block, in every launch
constexpr int kWarps = kThreads / kWarp;
constexpr unsigned kAllLanes = 0xffffffffu;

// Element strides of an activation tensor a[N,U,S].
struct DeviceStrides {
  int64_t n;
  int64_t u;
  int64_t s;
};

// e / d and e % d; 32-bit division, several times faster, wherever both fit.
__device__ __forceinline__ void divide(int64_t e, int64_t d, int64_t* quotient, int64_t* rest) {
  if (((e | d) >> 32) == 0) {
    const uint32_t q = static_cast<uint32_t>(e) / static_cast<uint32_t>(d);
    *quotient = q;
    *rest = static_cast<uint32_t>(e) - q * static_cast<uint32_t>(d);
  } else {
    *quotient = e / d;
    *rest = e - *quotient * d;
  }
}

// Sum over a group of `width` neighbouring lanes (a power of two up to 32); every lane of the group gets
// it. All lanes of the warp must call it together.
template <typename T>
__device__ __forceinline__ T group_sum(T x, int width) {
  for (int offset = width / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset, kWarp);
  return x;
}

// Sum over the block; every thread gets it. `shared` has kWarps elements and may be reused after the call.
template <typename T>
__device__ __forceinline__ T block_sum(T x, T* shared) {
  x = group_sum(x, kWarp);
  const int warp = threadIdx.x / kWarp;
  if (threadIdx.x % kWarp == 0) shared[warp] = x;
  __syncthreads();
  T total = 0;
  for (int w = 0; w < kWarps; ++w) total += shared[w];
  __syncthreads();
  return total;
}

// Largest value over the block (a NaN is passed over); every thread gets it.
template <typename T>
__device__ __forceinline__ T block_max(T x, T* shared) {
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, x, offset, kWarp);
    x = other > x || x != x ? other : x;
  }
  const int warp = threadIdx.x / kWarp;
  if (threadIdx.x % kWarp == 0) shared[warp] = x;
  __syncthreads();
  T highest = shared[0];
  for (int w = 1; w < kWarps; ++w) {
    highest = shared[w] > highest || highest != highest ? shared[w] : highest;
  }
  __syncthreads();
  return highest;
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_COMMON_CUH_
