// Element types: what lies in memory, what sums are kept in, and the conversions between them.
#ifndef IGD_CUDA_NUMBERS_CUH_
#define IGD_CUDA_NUMBERS_CUH_

#include <stdint.h>
#include <string.h>

namespace igd {
namespace cuda {

// Bits in memory; arithmetic is float32.
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};

// The type that sums are kept in.
template <typename T>
struct Accumulator {
  typedef T Type;
};
template <>
struct Accumulator<BFloat16> {
  typedef float Type;
};
template <>
struct Accumulator<Float16> {
  typedef float Type;
};
template <typename T>
using Acc = typename Accumulator<T>::Type;

__device__ __forceinline__ uint32_t bits_of(float x) {
#if defined(IGD_CUDA_EMULATION)
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
#else
  return __float_as_uint(x);
#endif
}
__device__ __forceinline__ float float_of(uint32_t bits) {
#if defined(IGD_CUDA_EMULATION)
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
#else
  return __uint_as_float(bits);
#endif
}
__device__ __forceinline__ uint64_t bits_of(double x) {
#if defined(IGD_CUDA_EMULATION)
  uint64_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
#else
  return static_cast<uint64_t>(__double_as_longlong(x));
#endif
}
__device__ __forceinline__ double double_of(uint64_t bits) {
#if defined(IGD_CUDA_EMULATION)
  double x;
  memcpy(&x, &bits, sizeof(x));
  return x;
#else
  return __longlong_as_double(static_cast<long long>(bits));
#endif
}

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ double widen(double x) { return x; }
__device__ __forceinline__ float widen(BFloat16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }
__device__ __forceinline__ float widen(Float16 x) {
#if defined(IGD_CUDA_EMULATION)
  return igd_emulation::half_to_float(x.bits);
#else
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
  return value;
#endif
}

// To nearest, ties to even; a NaN stays one.
__device__ __forceinline__ void narrow(float x, float* out) { *out = x; }
__device__ __forceinline__ void narrow(double x, double* out) { *out = x; }
__device__ __forceinline__ void narrow(float x, BFloat16* out) {
#if defined(IGD_CUDA_EMULATION)
  out->bits = igd_emulation::float_to_bfloat(x);
#else
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out->bits) : "f"(x));
#endif
}
__device__ __forceinline__ void narrow(float x, Float16* out) {
#if defined(IGD_CUDA_EMULATION)
  out->bits = igd_emulation::float_to_half(x);
#else
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out->bits) : "f"(x));
#endif
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_NUMBERS_CUH_
