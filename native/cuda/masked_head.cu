// Launchers of the masked head. Compiled and emulated, not run on a GPU.
#include "masked_head.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

// U + 2*K at most this (float64: half of it): the vectors of an image fit the shared memory.
constexpr int64_t kMostElements = 12000;

int64_t head_forward_shared(int64_t accumulator, int64_t vector, int64_t images, int64_t u, int64_t k) {
  const int64_t partial = kThreads * vector;
  const int64_t region = images * k > partial ? images * k : partial;
  return aligned((images * u + region) * accumulator + k * 4);
}
int64_t head_backward_shared(int64_t accumulator, int64_t u, int64_t k) {
  return aligned((2 * u + 2 * k) * accumulator + k * 4);
}

// Sizes that the kernels can take.
igd_status sizes(const char* function, int dtype, int64_t n, int64_t u, int64_t s, int64_t k) {
  const Checks check(function);
  if (!known_dtype(function, dtype) || !check.size("n", n) || !check.size("u", u) || !check.size("s", s) ||
      !check.size("k", k)) {
    return IGD_INVALID_ARGUMENT;
  }
  const int64_t most = dtype == IGD_FLOAT64 ? kMostElements / 2 : kMostElements;
  if (u > most || k > most || u + 2 * k > most) {
    return fail(IGD_UNSUPPORTED, "%s: expected U + 2*K of at most %lld, got U = %lld, K = %lld; use libtorch",
                function, static_cast<long long>(most), static_cast<long long>(u), static_cast<long long>(k));
  }
  if (!fits(function, n) || !indexable(function, "an image [U,S]", u, s)) return IGD_UNSUPPORTED;
  return IGD_OK;
}

template <typename T>
bool starts_aligned(const void* p, DeviceStrides stride, int64_t other) {
  constexpr int V = kVector<T>;
  return aligned16(p) && stride.n % V == 0 && other % V == 0;
}

template <typename T>
igd_status forward(const char* function, HeadForward<T> h, void* stream) {
  constexpr int V = kVector<T>;
  const int64_t accumulator = sizeof(Acc<T>);
  h.weight_vectors = aligned16(h.weight) && h.units % V == 0;
  h.width = 0;
  if (h.stride.s == 1 && h.positions > 1) {
    h.vectors = starts_aligned<T>(h.a, h.stride, h.stride.u);
    h.width = 1;
    while (h.width < kWarp && h.width * (h.vectors ? V : 1) < h.positions) h.width *= 2;
  } else {
    h.vectors = h.stride.u == 1 && starts_aligned<T>(h.a, h.stride, h.positions > 1 ? h.stride.s : 0);
  }
  // Four images share a reading of W where W outweighs them and there are blocks enough.
  const int64_t shared_by_four = head_forward_shared(accumulator, V, 4, h.units, h.classes);
  const bool four = h.n >= 512 && h.classes > h.positions && shared_by_four <= kMostShared;
  Launches launches(function, stream);
  if (four) {
    launches.start("masked_head_forward", masked_head_forward<T, 4>, blocks_for(h.n, 4), shared_by_four, h);
  } else {
    launches.start("masked_head_forward", masked_head_forward<T, 1>, h.n,
                   head_forward_shared(accumulator, V, 1, h.units, h.classes), h);
  }
  return launches.status();
}

template <typename T>
igd_status backward(const char* function, HeadBackward<T> h, void* stream) {
  constexpr int V = kVector<T>;
  h.weight_vectors = aligned16(h.weight) && h.units % V == 0;
  const bool vectors = starts_aligned<T>(h.grad_a, h.stride, 0);
  h.rows = vectors && h.stride.s == 1 && h.stride.u == h.positions;
  h.columns = vectors && !h.rows && h.stride.u == 1 && h.stride.s == h.units;
  Launches launches(function, stream);
  launches.start("masked_head_backward", masked_head_backward<T>, h.n,
                 head_backward_shared(sizeof(Acc<T>), h.units, h.classes), h);
  return launches.status();
}

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

igd_status igd_masked_head_forward_cuda(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                        int64_t stride_s, int64_t n, int64_t u, int64_t s, const void* weight,
                                        const void* bias, int64_t k, const uint8_t* masks, double temperature,
                                        const void* first_logits_in, void* pooled_out, void* first_logits_out,
                                        void* soft_weights_out, void* soft_mask_out, void* logits_out,
                                        void* stream) {
  const char* function = "igd_masked_head_forward_cuda";
  const Checks check(function);
  const igd_status status = sizes(function, dtype, n, u, s, k);
  if (status != IGD_OK) return status;
  const int64_t bytes = bytes_of(dtype), accumulator = accumulator_bytes_of(dtype);
  if (!check.strides("a", {stride_n, stride_u, stride_s}, n, u, s, bytes) || !check.pointer("a", a, bytes) ||
      !check.pointer("weight", weight, bytes) || !check.optional_pointer("bias", bias, bytes) ||
      !check.pointer("masks", masks, 1) || !check.temperature(temperature) ||
      !check.optional_pointer("first_logits_in", first_logits_in, accumulator) ||
      !check.pointer("pooled_out", pooled_out, accumulator) ||
      !check.optional_pointer("first_logits_out", first_logits_out, accumulator) ||
      !check.optional_pointer("soft_weights_out", soft_weights_out, accumulator) ||
      !check.optional_pointer("soft_mask_out", soft_mask_out, accumulator) ||
      !check.pointer("logits_out", logits_out, accumulator)) {
    return IGD_INVALID_ARGUMENT;
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    typedef Acc<T> A;
    HeadForward<T> h = {};
    h.a = static_cast<const T*>(a);
    h.stride = {stride_n, stride_u, stride_s};
    h.n = static_cast<int>(n);
    h.units = static_cast<int>(u);
    h.positions = static_cast<int>(s);
    h.classes = static_cast<int>(k);
    h.weight = static_cast<const T*>(weight);
    h.bias = static_cast<const T*>(bias);
    h.masks = masks;
    h.temperature = temperature;
    h.first_logits_in = static_cast<const A*>(first_logits_in);
    h.pooled = static_cast<A*>(pooled_out);
    h.first_logits = static_cast<A*>(first_logits_out);
    h.soft_weights = static_cast<A*>(soft_weights_out);
    h.soft_mask = static_cast<A*>(soft_mask_out);
    h.logits = static_cast<A*>(logits_out);
    return forward<T>(function, h, stream);
  });
}

igd_status igd_masked_head_backward_cuda(int dtype, const void* grad_logits, const void* pooled,
                                         const void* soft_weights, const void* soft_mask, const void* weight,
                                         const uint8_t* masks, double temperature, int64_t n, int64_t u,
                                         int64_t s, int64_t k, int own_first_logits, void* grad_a,
                                         int64_t stride_n, int64_t stride_u, int64_t stride_s,
                                         void* grad_first_logits, void* stream) {
  const char* function = "igd_masked_head_backward_cuda";
  const Checks check(function);
  const igd_status status = sizes(function, dtype, n, u, s, k);
  if (status != IGD_OK) return status;
  const int64_t bytes = bytes_of(dtype), accumulator = accumulator_bytes_of(dtype);
  const igd::Strides stride = {stride_n, stride_u, stride_s};
  if (!check.strides("grad_a", stride, n, u, s, bytes) || !check.distinct("grad_a", stride, n, u, s) ||
      !check.pointer("grad_logits", grad_logits, accumulator) ||
      !check.pointer("pooled", pooled, accumulator) ||
      !check.pointer("soft_weights", soft_weights, accumulator) ||
      !check.optional_pointer("soft_mask", soft_mask, accumulator) ||
      !check.pointer("weight", weight, bytes) || !check.pointer("masks", masks, 1) ||
      !check.temperature(temperature) || !check.pointer("grad_a", grad_a, bytes) ||
      !(own_first_logits != 0 ? check.optional_pointer("grad_first_logits", grad_first_logits, accumulator)
                              : check.pointer("grad_first_logits", grad_first_logits, accumulator))) {
    return IGD_INVALID_ARGUMENT;
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    typedef Acc<T> A;
    HeadBackward<T> h = {};
    h.grad_logits = static_cast<const A*>(grad_logits);
    h.pooled = static_cast<const A*>(pooled);
    h.soft_weights = static_cast<const A*>(soft_weights);
    h.soft_mask = static_cast<const A*>(soft_mask);
    h.weight = static_cast<const T*>(weight);
    h.masks = masks;
    h.temperature = temperature;
    h.n = static_cast<int>(n);
    h.units = static_cast<int>(u);
    h.positions = static_cast<int>(s);
    h.classes = static_cast<int>(k);
    h.own_first_logits = own_first_logits != 0;
    h.grad_a = static_cast<T*>(grad_a);
    h.stride = {stride_n, stride_u, stride_s};
    h.grad_first_logits = static_cast<A*>(grad_first_logits);
    return backward<T>(function, h, stream);
  });
}

}  // extern "C"
