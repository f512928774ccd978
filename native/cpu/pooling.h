// Mean over the positions of a range of units of one image: the first step of both kernel groups.
#ifndef IGD_CPU_POOLING_H_
#define IGD_CPU_POOLING_H_

#include <stdint.h>

#include "simd.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {

// Sum of `count` contiguous elements in type Acc: up to four vector accumulators, then a tree, then the rest in
// order. Depends on the values and `count` alone.
template <typename T, typename Acc>
IGD_INLINE Acc sum_contiguous(const T* p, int64_t count) {
  constexpr int64_t kLanes = Vec<Acc>::kLanes;
  Acc total = 0;
  int64_t i = 0;
  if (count >= 4 * kLanes) {
    Vec<Acc> acc[4] = {zero<Acc>(), zero<Acc>(), zero<Acc>(), zero<Acc>()};
    for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
      for (int j = 0; j < 4; ++j) acc[j] = add(acc[j], load<Acc>(p + i + j * kLanes));
    }
    Vec<Acc> rest = add(add(acc[0], acc[1]), add(acc[2], acc[3]));
    for (; i + kLanes <= count; i += kLanes) rest = add(rest, load<Acc>(p + i));
    total = sum(rest);
  } else if (count >= kLanes) {
    Vec<Acc> acc = load<Acc>(p);
    for (i = kLanes; i + kLanes <= count; i += kLanes) acc = add(acc, load<Acc>(p + i));
    total = sum(acc);
  }
  for (; i < count; ++i) total += static_cast<Acc>(p[i]);
  return total;
}

// Channels-last: `kBlock` vectors of neighbouring units at once.
template <typename T, typename Acc, int kBlock>
IGD_INLINE void sum_columns(const T* p, int64_t stride_s, int64_t s, Acc* out) {
  constexpr int64_t kLanes = Vec<Acc>::kLanes;
  Vec<Acc> acc[kBlock];
#pragma GCC unroll 8
  for (int j = 0; j < kBlock; ++j) acc[j] = load<Acc>(p + j * kLanes);
  for (int64_t i = 1; i < s; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < kBlock; ++j) acc[j] = add(acc[j], load<Acc>(p + i * stride_s + j * kLanes));
  }
#pragma GCC unroll 8
  for (int j = 0; j < kBlock; ++j) store(out + j * kLanes, acc[j]);
}

// out[j] = mean_s p[j * stride_u + s * stride_s] for j in [0,count), summed in type Acc.
template <typename T, typename Acc>
inline void pool_units(const T* p, int64_t stride_u, int64_t stride_s, int64_t count, int64_t s, Acc* out) {
  constexpr int64_t kLanes = Vec<Acc>::kLanes;
  if (stride_s == 1 && s > 1) {
    for (int64_t j = 0; j < count; ++j) out[j] = sum_contiguous<T, Acc>(p + j * stride_u, s);
  } else if (stride_u == 1) {
    int64_t j = 0;
    for (; j + 4 * kLanes <= count; j += 4 * kLanes) sum_columns<T, Acc, 4>(p + j, stride_s, s, out + j);
    for (; j + kLanes <= count; j += kLanes) sum_columns<T, Acc, 1>(p + j, stride_s, s, out + j);
    for (; j < count; ++j) {
      Acc total = static_cast<Acc>(p[j]);
      for (int64_t i = 1; i < s; ++i) total += static_cast<Acc>(p[i * stride_s + j]);
      out[j] = total;
    }
  } else {
    for (int64_t j = 0; j < count; ++j) {
      const T* row = p + j * stride_u;
      Acc total = static_cast<Acc>(row[0]);
      for (int64_t i = 1; i < s; ++i) total += static_cast<Acc>(row[i * stride_s]);
      out[j] = total;
    }
  }
  if (s > 1) {
    const Acc size = static_cast<Acc>(s);
    for (int64_t j = 0; j < count; ++j) out[j] /= size;
  }
}

}  // namespace IGD_ISA_NAMESPACE
}  // namespace igd

#endif  // IGD_CPU_POOLING_H_
