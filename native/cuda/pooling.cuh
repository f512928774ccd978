// Mean over the positions of every unit of every image: the first step of both kernel groups.
// Compiled, not run on a GPU.
#ifndef IGD_CUDA_POOLING_CUH_
#define IGD_CUDA_POOLING_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

// pooled[i,u] = mean_s a[i,u,s], summed in Acc. a [N,U,S] with contiguous positions (stride.s == 1): a group
// of `width` lanes (a power of two) per unit, so that a warp reads neighbouring addresses.
// Grid: ceil(n*units*width / kThreads) blocks. Reads N*U*S*sizeof(T) bytes once.
template <typename T, typename Acc, typename Out>
__global__ void pool_rows(const T* a, DeviceStrides stride, int64_t n, int64_t units, int64_t s, int width,
                          Out* pooled) {
  const int64_t thread = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const int64_t index = thread / width;
  const int lane = static_cast<int>(thread % width);
  const bool valid = index < n * units;
  Acc total = 0;
  if (valid) {
    const T* row = a + index / units * stride.n + index % units * stride.u;
    for (int64_t q = lane; q < s; q += width) total += static_cast<Acc>(row[q]);
  }
  total = group_sum(total, width);
  if (valid && lane == 0) pooled[index] = static_cast<Out>(total / static_cast<Acc>(s));
}

// The same for any strides, one thread per unit: coalesced for channels-last.
// Grid: ceil(n*units / kThreads) blocks.
template <typename T, typename Acc, typename Out>
__global__ void pool_columns(const T* a, DeviceStrides stride, int64_t n, int64_t units, int64_t s,
                             Out* pooled) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= n * units) return;
  const T* row = a + index / units * stride.n + index % units * stride.u;
  Acc total = 0;
  for (int64_t q = 0; q < s; ++q) total += static_cast<Acc>(row[q * stride.s]);
  pooled[index] = static_cast<Out>(total / static_cast<Acc>(s));
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_POOLING_CUH_
