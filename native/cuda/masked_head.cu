// Launchers of the masked head. Compiled, not run on a GPU.
#include "masked_head.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

int64_t size_of(int dtype) { return dtype == IGD_FLOAT32 ? 4 : 8; }

// Workspace of the forward: z, y [N,K], m, q [N,U]; of the backward: dp, dm [N,U], dz [N,K].
int64_t forward_bytes(int64_t bytes, int64_t n, int64_t u, int64_t k) {
  return 2 * aligned(n * k * bytes) + 2 * aligned(n * u * bytes);
}
int64_t backward_bytes(int64_t bytes, int64_t n, int64_t u, int64_t k) {
  return aligned(n * k * bytes) + 2 * aligned(n * u * bytes);
}

// Sizes whose workspace is addressable: 8 times the largest part stays below 2^63.
bool sizes(const Checks& check, int dtype, int64_t n, int64_t u, int64_t k) {
  return check.dtype(dtype) && check.size("n", n) && check.size("u", u) && check.size("k", k) &&
         check.product("[N,U]", n, u, 8 * size_of(dtype)) &&
         check.product("[N,K]", n, k, 8 * size_of(dtype)) && check.product("[K,U]", k, u, size_of(dtype));
}

struct Head {
  const char* function;
  int64_t n, u, s, k;
  double temperature;
  DeviceStrides stride;
  const void* weight;
  const uint8_t* masks;
  char* workspace;
  cudaStream_t stream;
};

struct Forward {
  const void *a, *bias, *first_logits_in;
  void *pooled, *first_logits, *soft_weights, *soft_mask, *logits;
};

template <typename T>
igd_status forward(const Head& h, const Forward& f) {
  const int64_t nk = aligned(h.n * h.k * static_cast<int64_t>(sizeof(T)));
  const int64_t nu = aligned(h.n * h.u * static_cast<int64_t>(sizeof(T)));
  T* own_z = reinterpret_cast<T*>(h.workspace);
  T* own_y = reinterpret_cast<T*>(h.workspace + nk);
  T* own_m = reinterpret_cast<T*>(h.workspace + 2 * nk);
  T* q = reinterpret_cast<T*>(h.workspace + 2 * nk + nu);
  const T* weight = static_cast<const T*>(h.weight);
  const T* bias = static_cast<const T*>(f.bias);
  T* pooled = static_cast<T*>(f.pooled);
  T* y = f.soft_weights != nullptr ? static_cast<T*>(f.soft_weights) : own_y;
  T* m = f.soft_mask != nullptr ? static_cast<T*>(f.soft_mask) : own_m;
  const int64_t dots = blocks_for(h.n * h.k, kWarps);

  launch_pool<T, T, T>(static_cast<const T*>(f.a), h.stride, h.n, h.u, h.s, pooled, h.stream);
  const T* z = static_cast<const T*>(f.first_logits_in);
  if (z == nullptr) {
    T* out = f.first_logits != nullptr ? static_cast<T*>(f.first_logits) : own_z;
    launch(linear<T>, dots, h.stream, pooled, weight, bias, h.n, h.k, h.u, out);
    z = out;
  } else if (f.first_logits != nullptr) {
    cudaMemcpyAsync(f.first_logits, z, static_cast<size_t>(h.n * h.k) * sizeof(T), cudaMemcpyDeviceToDevice,
                    h.stream);
  }
  launch(soft_mask<T>, h.n, h.stream, z, h.masks, pooled, h.k, h.u, h.temperature, y, m, q);
  launch(linear<T>, dots, h.stream, q, weight, bias, h.n, h.k, h.u, static_cast<T*>(f.logits));
  return launched(h.function);
}

struct Backward {
  const void *grad_logits, *pooled, *soft_weights, *soft_mask;
  bool own_first_logits;
  void *grad_a, *grad_first_logits;
};

template <typename T>
igd_status backward(const Head& h, const Backward& b) {
  const int64_t nu = aligned(h.n * h.u * static_cast<int64_t>(sizeof(T)));
  T* dp = reinterpret_cast<T*>(h.workspace);
  T* dm = reinterpret_cast<T*>(h.workspace + nu);
  T* own_dz = reinterpret_cast<T*>(h.workspace + 2 * nu);
  T* dz = b.grad_first_logits != nullptr ? static_cast<T*>(b.grad_first_logits) : own_dz;
  const T* weight = static_cast<const T*>(h.weight);
  const T* y = static_cast<const T*>(b.soft_weights);
  const int64_t units = blocks_for(h.n * h.u, kThreads);

  launch(through_classifier<T>, units, h.stream, static_cast<const T*>(b.grad_logits),
         static_cast<const T*>(b.pooled), y, static_cast<const T*>(b.soft_mask), weight, h.masks, h.n, h.k,
         h.u, dp, dm);
  launch(through_softmax<T>, h.n, h.stream, dm, h.masks, y, h.k, h.u, h.temperature, dz);
  if (b.own_first_logits) launch(add_first_logits<T>, units, h.stream, dz, weight, h.n, h.k, h.u, dp);
  launch(spread<T>, blocks_for(h.n * h.u * h.s, kThreads), h.stream, dp, h.n, h.u, h.s,
         h.stride.u < h.stride.s, static_cast<T*>(b.grad_a), h.stride);
  return launched(h.function);
}

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

int64_t igd_masked_head_forward_workspace_cuda(int dtype, int64_t n, int64_t u, int64_t k) {
  if (!sizes(Checks("igd_masked_head_forward_workspace_cuda"), dtype, n, u, k)) return -1;
  return forward_bytes(size_of(dtype), n, u, k);
}

int64_t igd_masked_head_backward_workspace_cuda(int dtype, int64_t n, int64_t u, int64_t k) {
  if (!sizes(Checks("igd_masked_head_backward_workspace_cuda"), dtype, n, u, k)) return -1;
  return backward_bytes(size_of(dtype), n, u, k);
}

igd_status igd_masked_head_forward_cuda(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                        int64_t stride_s, int64_t n, int64_t u, int64_t s, const void* weight,
                                        const void* bias, int64_t k, const uint8_t* masks, double temperature,
                                        const void* first_logits_in, void* pooled_out, void* first_logits_out,
                                        void* soft_weights_out, void* soft_mask_out, void* logits_out,
                                        void* workspace, void* stream) {
  const char* function = "igd_masked_head_forward_cuda";
  const Checks check(function);
  if (!sizes(check, dtype, n, u, k) || !check.size("s", s)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = size_of(dtype);
  if (!check.strides("a", {stride_n, stride_u, stride_s}, n, u, s, bytes) || !check.pointer("a", a, bytes) ||
      !check.pointer("weight", weight, bytes) || !check.optional_pointer("bias", bias, bytes) ||
      !check.pointer("masks", masks, 1) || !check.temperature(temperature) ||
      !check.optional_pointer("first_logits_in", first_logits_in, bytes) ||
      !check.pointer("pooled_out", pooled_out, bytes) ||
      !check.optional_pointer("first_logits_out", first_logits_out, bytes) ||
      !check.optional_pointer("soft_weights_out", soft_weights_out, bytes) ||
      !check.optional_pointer("soft_mask_out", soft_mask_out, bytes) ||
      !check.pointer("logits_out", logits_out, bytes) || !check.pointer("workspace", workspace, 16)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (!fits(function, pool_blocks(n, u)) || !fits(function, blocks_for(n * k, kWarps)))
    return IGD_UNSUPPORTED;
  const Head h = {function,
                  n,
                  u,
                  s,
                  k,
                  temperature,
                  {stride_n, stride_u, stride_s},
                  weight,
                  masks,
                  static_cast<char*>(workspace),
                  static_cast<cudaStream_t>(stream)};
  const Forward f = {
      a, bias, first_logits_in, pooled_out, first_logits_out, soft_weights_out, soft_mask_out, logits_out};
  return dtype == IGD_FLOAT32 ? forward<float>(h, f) : forward<double>(h, f);
}

igd_status igd_masked_head_backward_cuda(int dtype, const void* grad_logits, const void* pooled,
                                         const void* soft_weights, const void* soft_mask, const void* weight,
                                         const uint8_t* masks, double temperature, int64_t n, int64_t u,
                                         int64_t s, int64_t k, int own_first_logits, void* grad_a,
                                         int64_t stride_n, int64_t stride_u, int64_t stride_s,
                                         void* grad_first_logits, void* workspace, void* stream) {
  const char* function = "igd_masked_head_backward_cuda";
  const Checks check(function);
  if (!sizes(check, dtype, n, u, k) || !check.size("s", s)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = size_of(dtype);
  const igd::Strides stride = {stride_n, stride_u, stride_s};
  if (!check.strides("grad_a", stride, n, u, s, bytes) || !check.distinct("grad_a", stride, n, u, s) ||
      !check.pointer("grad_logits", grad_logits, bytes) || !check.pointer("pooled", pooled, bytes) ||
      !check.pointer("soft_weights", soft_weights, bytes) ||
      !check.optional_pointer("soft_mask", soft_mask, bytes) || !check.pointer("weight", weight, bytes) ||
      !check.pointer("masks", masks, 1) || !check.temperature(temperature) ||
      !check.pointer("grad_a", grad_a, bytes) || !check.pointer("workspace", workspace, 16) ||
      !(own_first_logits != 0 ? check.optional_pointer("grad_first_logits", grad_first_logits, bytes)
                              : check.pointer("grad_first_logits", grad_first_logits, bytes))) {
    return IGD_INVALID_ARGUMENT;
  }
  if (!fits(function, blocks_for(n * u * s, kThreads)) || !fits(function, n)) return IGD_UNSUPPORTED;
  const Head h = {function,
                  n,
                  u,
                  s,
                  k,
                  temperature,
                  {stride_n, stride_u, stride_s},
                  weight,
                  masks,
                  static_cast<char*>(workspace),
                  static_cast<cudaStream_t>(stream)};
  const Backward b = {grad_logits,           pooled, soft_weights,     soft_mask,
                      own_first_logits != 0, grad_a, grad_first_logits};
  return dtype == IGD_FLOAT32 ? backward<float>(h, b) : backward<double>(h, b);
}

}  // extern "C"
