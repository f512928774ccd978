// Access to device memory: every load and store of the kernels goes through these, one element or 16 bytes at a
// time, so that the emulation can count them and see who touches what.
#ifndef IGD_CUDA_MEMORY_CUH_
#define IGD_CUDA_MEMORY_CUH_

#include "numbers.cuh"

namespace igd {
namespace cuda {

// Elements in 16 bytes.
template <typename T>
constexpr int kVector = 16 / static_cast<int>(sizeof(T));

__device__ __forceinline__ void touch(const void* p, int bytes, bool write) {
#if defined(IGD_CUDA_EMULATION)
  igd_emulation::touch(p, bytes, write);
#else
  (void)p, (void)bytes, (void)write;
#endif
}

// One element as it lies in memory (indices, labels, bytes).
template <typename T>
__device__ __forceinline__ T get_raw(const T* p) {
  touch(p, sizeof(T), false);
  return *p;
}

// One element as a number.
template <typename T>
__device__ __forceinline__ Acc<T> get(const T* p) {
  touch(p, sizeof(T), false);
  return widen(*p);
}

template <typename T, typename A>
__device__ __forceinline__ void put(T* p, A x) {
  touch(p, sizeof(T), true);
  narrow(static_cast<Acc<T>>(x), p);
}

template <typename T>
__device__ __forceinline__ void put_raw(T* p, T x) {
  touch(p, sizeof(T), true);
  *p = x;
}

// 16 bytes at an address aligned to 16, as numbers.
__device__ __forceinline__ void unpack(uint4 w, const float*, float (&x)[4]) {
  x[0] = float_of(w.x), x[1] = float_of(w.y), x[2] = float_of(w.z), x[3] = float_of(w.w);
}
__device__ __forceinline__ void unpack(uint4 w, const double*, double (&x)[2]) {
  x[0] = double_of(w.x | static_cast<uint64_t>(w.y) << 32);
  x[1] = double_of(w.z | static_cast<uint64_t>(w.w) << 32);
}
template <typename T>
__device__ __forceinline__ void unpack(uint4 w, const T*, float (&x)[8]) {
  const uint32_t words[4] = {w.x, w.y, w.z, w.w};
  IGD_UNROLL
  for (int i = 0; i < 4; ++i) {
    x[2 * i] = widen(T{static_cast<uint16_t>(words[i] & 0xffffu)});
    x[2 * i + 1] = widen(T{static_cast<uint16_t>(words[i] >> 16)});
  }
}
__device__ __forceinline__ uint4 pack(const float (&x)[4], const float*) {
  return uint4{bits_of(x[0]), bits_of(x[1]), bits_of(x[2]), bits_of(x[3])};
}
__device__ __forceinline__ uint4 pack(const double (&x)[2], const double*) {
  const uint64_t a = bits_of(x[0]), b = bits_of(x[1]);
  return uint4{static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b),
               static_cast<uint32_t>(b >> 32)};
}
template <typename T>
__device__ __forceinline__ uint4 pack(const float (&x)[8], const T*) {
  uint32_t words[4];
  IGD_UNROLL
  for (int i = 0; i < 4; ++i) {
    T low, high;
    narrow(x[2 * i], &low);
    narrow(x[2 * i + 1], &high);
    words[i] = low.bits | static_cast<uint32_t>(high.bits) << 16;
  }
  return uint4{words[0], words[1], words[2], words[3]};
}

// V elements: 16 bytes at once if V fills them (then the address is aligned to 16), else one by one.
template <int V, typename T>
__device__ __forceinline__ void get_many(const T* p, Acc<T> (&x)[V]) {
  if constexpr (V == kVector<T>) {
    touch(p, 16, false);
    unpack(*reinterpret_cast<const uint4*>(p), p, x);
  } else {
    IGD_UNROLL
    for (int i = 0; i < V; ++i) x[i] = get(p + i);
  }
}
template <int V, typename T>
__device__ __forceinline__ void put_many(T* p, const Acc<T> (&x)[V]) {
  if constexpr (V == kVector<T>) {
    touch(p, 16, true);
    *reinterpret_cast<uint4*>(p) = pack(x, p);
  } else {
    IGD_UNROLL
    for (int i = 0; i < V; ++i) put(p + i, x[i]);
  }
}

// V numbers of an accumulator array: as many 16-byte loads as they fill (address aligned to 16).
template <int V, typename A>
__device__ __forceinline__ void get_numbers(const A* p, A (&x)[V]) {
  if constexpr (V % kVector<A> == 0) {
    IGD_UNROLL
    for (int j = 0; j < V; j += kVector<A>) {
      A part[kVector<A>];
      get_many<kVector<A>>(p + j, part);
      IGD_UNROLL
      for (int i = 0; i < kVector<A>; ++i) x[j + i] = part[i];
    }
  } else {
    IGD_UNROLL
    for (int i = 0; i < V; ++i) x[i] = get(p + i);
  }
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_MEMORY_CUH_
