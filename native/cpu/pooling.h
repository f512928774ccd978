// Mean over the positions of a range of units of one image: the first step of both kernel groups.
#ifndef IGD_CPU_POOLING_H_
#define IGD_CPU_POOLING_H_

#include <stdint.h>

#include "simd.h"

namespace igd {
namespace IGD_ISA_NAMESPACE {

// Partial sums of `count` contiguous elements in type Acc. Depends on the values and `count` alone.
template <typename T, typename Acc>
IGD_INLINE Vec<Acc> sum_contiguous(const T* p, int64_t count) {
  constexpr int64_t kLanes = Vec<Acc>::kLanes;
  int64_t i = 0;
  Vec<Acc> total = zero<Acc>();
  if (count >= 8 * kLanes) {
    Vec<Acc> acc[4] = {zero<Acc>(), zero<Acc>(), zero<Acc>(), zero<Acc>()};
    for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) acc[j] = add(acc[j], load<Acc>(p + i + j * kLanes));
    }
    total = add(add(acc[0], acc[1]), add(acc[2], acc[3]));
  }
  for (; i + kLanes <= count; i += kLanes) total = add(total, load<Acc>(p + i));
  if (i < count) total = add(total, load_partial<Acc>(p + i, count - i));
  return total;
}

// out[j] = sum of the `s` contiguous elements of unit j.
template <typename T, typename Acc>
IGD_INLINE void sum_rows(const T* p, int64_t stride_u, int64_t count, int64_t s, Acc* out) {
  int64_t j = 0;
  for (; j + 4 <= count; j += 4) {
    const T* row = p + j * stride_u;
    const Vec<Acc> sums[4] = {sum_contiguous<T, Acc>(row, s), sum_contiguous<T, Acc>(row + stride_u, s),
                              sum_contiguous<T, Acc>(row + 2 * stride_u, s),
                              sum_contiguous<T, Acc>(row + 3 * stride_u, s)};
    store_sums(out + j, sums);
  }
  for (; j < count; ++j) out[j] = sum(sum_contiguous<T, Acc>(p + j * stride_u, s));
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
    // Usual sizes (4x4, 7x7, 8x8) with loops unrolled: the same values, faster.
    switch (s) {
      case 16:
        sum_rows<T, Acc>(p, stride_u, count, 16, out);
        break;
      case 49:
        sum_rows<T, Acc>(p, stride_u, count, 49, out);
        break;
      case 64:
        sum_rows<T, Acc>(p, stride_u, count, 64, out);
        break;
      default:
        sum_rows<T, Acc>(p, stride_u, count, s, out);
    }
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
