// Launchers of the leave-one-out kernels. Compiled, not run on a GPU.
#include "loo_penultimate.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

template <typename T>
igd_status accumulate(const char* function, const void* a, DeviceStrides stride, int64_t n, int64_t u,
                      int64_t s, const int64_t* labels, int64_t k, bool signed_difference, double* class_sums,
                      int64_t* class_counts, int64_t* bad_label, double* pooled, cudaStream_t stream) {
  launch(check_labels, 1, stream, labels, n, k, bad_label);
  launch_pool<T, double, double>(static_cast<const T*>(a), stride, n, u, s, pooled, stream);
  launch(add_images, blocks_for(u, kThreads), stream, pooled, labels, n, u, signed_difference, bad_label,
         class_sums, class_counts);
  return launched(function);
}

template <typename T>
igd_status finish(const char* function, const void* weight, int64_t k, int64_t u, const double* class_sums,
                  const int64_t* class_counts, bool signed_difference, bool class_mean, double* importance,
                  cudaStream_t stream) {
  launch(finish_importance<T>, blocks_for(u * k, kThreads), stream, static_cast<const T*>(weight), k, u,
         class_sums, class_counts, signed_difference, class_mean, importance);
  return launched(function);
}

int64_t size_of(int dtype) { return dtype == IGD_FLOAT32 ? 4 : 8; }

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

int64_t igd_loo_penultimate_workspace_cuda(int64_t n, int64_t u) {
  const Checks check("igd_loo_penultimate_workspace_cuda");
  if (!check.size("n", n) || !check.size("u", u) || !check.product("pooled [N,U]", n, u, 8)) return -1;
  return aligned(n * u * 8);
}

igd_status igd_loo_penultimate_accumulate_cuda(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                               int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                               const int64_t* labels, int64_t k, int signed_difference,
                                               double* class_sums, int64_t* class_counts, int64_t* bad_label,
                                               void* workspace, void* stream) {
  const char* function = "igd_loo_penultimate_accumulate_cuda";
  const Checks check(function);
  if (!check.dtype(dtype) || !check.size("n", n) || !check.size("u", u) || !check.size("s", s) ||
      !check.size("k", k) || !check.strides("a", {stride_n, stride_u, stride_s}, n, u, s, size_of(dtype)) ||
      !check.product("class_sums [K,U]", k, u, 8) || !check.product("workspace [N,U]", n, u, 8) ||
      !check.pointer("a", a, size_of(dtype)) || !check.pointer("labels", labels, 8) ||
      !check.pointer("class_sums", class_sums, 8) || !check.pointer("class_counts", class_counts, 8) ||
      !check.pointer("bad_label", bad_label, 8) || !check.pointer("workspace", workspace, 16)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (!fits(function, pool_blocks(n, u))) return IGD_UNSUPPORTED;
  const DeviceStrides stride = {stride_n, stride_u, stride_s};
  const auto run = dtype == IGD_FLOAT32 ? accumulate<float> : accumulate<double>;
  return run(function, a, stride, n, u, s, labels, k, signed_difference != 0, class_sums, class_counts,
             bad_label, static_cast<double*>(workspace), static_cast<cudaStream_t>(stream));
}

igd_status igd_loo_penultimate_finish_cuda(int dtype, const void* weight, int64_t k, int64_t u,
                                           const double* class_sums, const int64_t* class_counts,
                                           int signed_difference, int normalization, double* importance,
                                           void* stream) {
  const char* function = "igd_loo_penultimate_finish_cuda";
  const Checks check(function);
  if (!check.dtype(dtype) || !check.size("k", k) || !check.size("u", u) ||
      !check.product("importance [U,K]", u, k, 8) || !check.pointer("weight", weight, size_of(dtype)) ||
      !check.pointer("class_sums", class_sums, 8) || !check.pointer("class_counts", class_counts, 8) ||
      !check.pointer("importance", importance, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (normalization != 0 && normalization != 1) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: normalization: expected 0 (class mean) or 1 (reference), got %d", function,
                     normalization);
  }
  if (!fits(function, blocks_for(u * k, kThreads))) return IGD_UNSUPPORTED;
  const auto run = dtype == IGD_FLOAT32 ? finish<float> : finish<double>;
  return run(function, weight, k, u, class_sums, class_counts, signed_difference != 0, normalization == 0,
             importance, static_cast<cudaStream_t>(stream));
}

}  // extern "C"
