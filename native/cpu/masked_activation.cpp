// Masked activation: residual sum, ReLU and per-image channel mask in one pass, forward and backward.
//
// forward    out = f(x + r) * m;  backward  grad_in = g*m where f's derivative is 1, else 0;
//            grad_mask[n,c] = sum_s g*f(x + r)
// Shapes: x, r, g, out, grad_in [N,C,S] (channels-first) or [N,S,C] (channels-last), dense; m, grad_mask [N,C].
// Traffic: every array once; work: 3 to 6 FLOP per element, so that memory sets the time on every processor and
//   one instruction set is enough.
// An image is one task; sums run over positions in order, so results do not depend on threads or other images.
#include <string.h>

#include "checks.h"
#include "igd/kernels.h"
#include "loo_interior_table.h"

namespace igd {
namespace {

constexpr double kElementsPerNanosecond = 1;

float widen(BFloat16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}
float widen(float x) { return x; }
double widen(double x) { return x; }

// To nearest, ties to even; a NaN stays one.
void narrow(float x, BFloat16* out) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  out->bits = static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}
void narrow(float x, float* out) { *out = x; }
void narrow(double x, double* out) { *out = x; }

template <typename T>
struct MaskedActivation {
  typedef typename Accumulator<T>::Type Acc;
  const T *grad, *x, *residual;
  const Acc* mask;
  int64_t c, s;
  bool channels_last, relu;
  T* out;          // or grad_in
  Acc* grad_mask;  // or nullptr
};

// `count` elements from `at` that have one mask, or (kPerElement) each its own; the sum of g*f if kSum.
template <typename T, bool kBackward, bool kPerElement>
typename Accumulator<T>::Type run(const MaskedActivation<T>& k, int64_t at, int64_t count,
                                  const typename Accumulator<T>::Type* mask,
                                  typename Accumulator<T>::Type* sums) {
  typedef typename Accumulator<T>::Type Acc;
  Acc sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    Acc pre = widen(k.x[at + i]);
    if (k.residual != nullptr) pre += widen(k.residual[at + i]);
    const Acc factor = mask == nullptr ? Acc(1) : mask[kPerElement ? i : 0];
    const bool off = k.relu && pre <= Acc(0);  // false for a NaN
    if (!kBackward) {
      narrow((off ? Acc(0) : pre) * factor, k.out + at + i);
    } else {
      const Acc g = widen(k.grad[at + i]);
      const Acc term = g * (off ? Acc(0) : pre);
      if (kPerElement && sums != nullptr) sums[i] += term;
      if (!kPerElement) sum += term;
      narrow(off ? Acc(0) : g * factor, k.out + at + i);
    }
  }
  return sum;
}

template <typename T, bool kBackward>
void image(const MaskedActivation<T>& k, int64_t n) {
  typedef typename Accumulator<T>::Type Acc;
  const Acc* mask = k.mask == nullptr ? nullptr : k.mask + n * k.c;
  Acc* sums = k.grad_mask == nullptr ? nullptr : k.grad_mask + n * k.c;
  const int64_t start = n * k.c * k.s;
  if (k.channels_last) {
    for (int64_t c = 0; sums != nullptr && c < k.c; ++c) sums[c] = 0;
    for (int64_t q = 0; q < k.s; ++q) run<T, kBackward, true>(k, start + q * k.c, k.c, mask, sums);
    return;
  }
  for (int64_t c = 0; c < k.c; ++c) {
    const Acc sum =
        run<T, kBackward, false>(k, start + c * k.s, k.s, mask == nullptr ? nullptr : mask + c, nullptr);
    if (sums != nullptr) sums[c] = sum;
  }
}

struct Call {
  const char* function;
  int dtype;
  const void *grad, *x, *residual, *mask;
  int64_t n, c, s;
  int channels_last, relu;
  void *out, *grad_mask;
};

template <typename T, bool kBackward>
void images(const Call& k) {
  typedef typename Accumulator<T>::Type Acc;
  const MaskedActivation<T> own = {static_cast<const T*>(k.grad),
                                   static_cast<const T*>(k.x),
                                   static_cast<const T*>(k.residual),
                                   static_cast<const Acc*>(k.mask),
                                   k.c,
                                   k.s,
                                   k.channels_last != 0,
                                   k.relu != 0,
                                   static_cast<T*>(k.out),
                                   static_cast<Acc*>(k.grad_mask)};
  const double elements = static_cast<double>(k.n) * static_cast<double>(k.c) * static_cast<double>(k.s);
  parallel(workers_for(elements / kElementsPerNanosecond), k.n, [&](int64_t begin, int64_t end, int) {
    for (int64_t n = begin; n < end; ++n) image<T, kBackward>(own, n);
  });
}

template <bool kBackward>
igd_status run(const Call& k) {
  const Checks check(k.function);
  if (k.dtype != IGD_BFLOAT16 && !check.dtype(k.dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = k.dtype == IGD_FLOAT32 ? 4 : k.dtype == IGD_FLOAT64 ? 8 : 2;
  const int64_t accumulator = k.dtype == IGD_FLOAT64 ? 8 : 4;
  if (!check.size("n", k.n) || !check.size("c", k.c) || !check.size("s", k.s) ||
      !check.product("x [N,C]", k.n, k.c, 8) || !check.product("x [N,C,S]", k.n * k.c, k.s, bytes) ||
      (kBackward && !check.pointer("grad_out", k.grad, bytes)) || !check.pointer("x", k.x, bytes) ||
      !check.optional_pointer("residual", k.residual, bytes) ||
      !check.optional_pointer("mask", k.mask, accumulator) ||
      !check.pointer(kBackward ? "grad_in" : "out", k.out, bytes) ||
      !check.optional_pointer("grad_mask", k.grad_mask, accumulator)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (k.dtype == IGD_FLOAT32) {
    images<float, kBackward>(k);
  } else if (k.dtype == IGD_FLOAT64) {
    images<double, kBackward>(k);
  } else {
    images<BFloat16, kBackward>(k);
  }
  return IGD_OK;
}

}  // namespace
}  // namespace igd

extern "C" {

igd_status igd_masked_activation_forward(int dtype, const void* x, const void* residual, const void* mask,
                                         int64_t n, int64_t c, int64_t s, int channels_last, int relu,
                                         void* out) {
  return igd::run<false>({"igd_masked_activation_forward", dtype, nullptr, x, residual, mask, n, c, s,
                          channels_last, relu, out, nullptr});
}

igd_status igd_masked_activation_backward(int dtype, const void* grad_out, const void* x,
                                          const void* residual, const void* mask, int64_t n, int64_t c,
                                          int64_t s, int channels_last, int relu, void* grad_in,
                                          void* grad_mask) {
  return igd::run<true>({"igd_masked_activation_backward", dtype, grad_out, x, residual, mask, n, c, s,
                         channels_last, relu, grad_in, grad_mask});
}

}  // extern "C"
