// CD-IR: the score of a unit for a concept on CUDA; mathematics in native/cpu/cdir_score.cpp. Compiled for sm_80 to
// sm_120, run under emulation, not run on a GPU.
//
// Shapes  p [N,K] cosines, indices [U,R], scores [U,K] float64; B bytes per element of p, A per accumulator.
// Launches 2: cdir_rows (largest value and softmax factor of every image, a warp each), cdir_units (a block per unit
//         and tile of concepts); 3 with lambda: cdir_prior (log-mean-exp over the units, subtracted). Neither the
//         softmax [N,K] nor the gathered tensor [U,R,K] exists: exponentials are taken again where they are used.
//         As on the CPU, factors are multiplied and their exponents split off before they could overflow: one
//         logarithm per (unit, concept) and thread.
// Bytes   p once for the rows (its second pass comes from the first-level cache: 2*N*K*B requested), the rows among
//         the indices once more (U*R*K*B requested, from the second-level cache where p fits it), 8*U*K written;
//         with lambda 16*U*K more.
// FLOP    about 16*U*R*K, 16*N*K.
// Computed, not measured (H100 SXM, 3.35 TB/s; N=50,000, K=1,000, U=2,048, R=100, float32): rows 200 MB, 60 us; units
//         819 MB at worst, 245 us; prior 33 MB, 10 us.
#ifndef IGD_CUDA_CDIR_SCORE_CUH_
#define IGD_CUDA_CDIR_SCORE_CUH_

#include "common.cuh"

namespace igd {
namespace cuda {

template <typename T>
struct CdirScore {
  const T* p;
  int64_t n, k;
  Acc<T> scale;
  const int64_t* labels;  // or nullptr
  const int32_t* indices;
  int64_t units;
  int64_t top;
  const double* rank_weight;
  double min_prob, lambda;
  double* scores;
  Acc<T>* row_max;     // [N]
  Acc<T>* row_factor;  // [N]: 1 / sum of exp, NaN where the row has a value that is not finite
  int columns, tiles;  // packs of concepts of a block, blocks of a unit
};

// body(x) for this lane's elements of a row of k.
template <int V, typename T, typename Body>
__device__ __forceinline__ void for_row(const T* row, int64_t k, int lane, const Body& body) {
  for (int64_t c = lane * V; c < k; c += kWarp * V) {
    Acc<T> x[V];
    get_many<V>(row + c, x);
    IGD_UNROLL
    for (int i = 0; i < V; ++i) body(x[i]);
  }
}

// V > 1 needs k % V == 0. Grid: ceil(n / kWarps) blocks.
template <typename T, int V>
__global__ void cdir_rows(CdirScore<T> d) {
  typedef Acc<T> A;
  const int64_t image = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const bool valid = image < d.n;
  const T* row = d.p + (valid ? image : 0) * d.k;
  A highest = get(row), wrong = 0;
  for_row<V>(row, valid ? d.k : 0, lane, [&](A x) {
    wrong += x - x;  // 0 where finite, else NaN
    highest = x > highest ? x : highest;
  });
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const A other = __shfl_xor_sync(kAllLanes, highest, offset, kWarp);
    highest = other > highest ? other : highest;
  }
  double total = 0;
  for_row<V>(row, valid ? d.k : 0, lane,
             [&](A x) { total += static_cast<double>(exp((x - highest) * d.scale)); });
  total = group_sum(total, kWarp);
  wrong = group_sum(wrong, kWarp);
  if (valid && lane == 0) {
    put(d.row_max + image, highest);
    put(d.row_factor + image, static_cast<A>(1.0 / total) + wrong);
  }
}

// Splits x > 0 into a factor in [1,2) and its exponent, which is added to `exponent`. A NaN stays one.
__device__ __forceinline__ float split_exponent(float x, int* exponent) {
  const uint32_t bits = bits_of(x);
  *exponent += static_cast<int>(bits >> 23) - 127;
  return x != x ? x : float_of((bits & 0x7fffffu) | 0x3f800000u);
}
__device__ __forceinline__ double split_exponent(double x, int* exponent) {
  const uint64_t bits = bits_of(x);
  *exponent += static_cast<int>(bits >> 52) - 1023;
  return x != x ? x : double_of((bits & 0xfffffffffffffu) | 0x3ff0000000000000u);
}

// The range of the factors: all are multiplied by 2^power to spread around 1, `block` of them multiply safely.
template <typename A>
__device__ __forceinline__ void factor_range(const double* rank_weight, int64_t top, double min_prob,
                                             double* shared, int* power, int* block) {
  double high = 0, negative_low = -2;
  for (int64_t r = threadIdx.x; r < top; r += kThreads) {
    const double weight = get_raw(rank_weight + r);
    const double least = (1 - weight) + min_prob;
    negative_low = -least > negative_low ? -least : negative_low;
    high = least + weight > high ? least + weight : high;
  }
  const double low = fmax(-block_max(negative_low, shared), 1e-12);
  high = block_max(high, shared);
  *power = static_cast<int>(rint(-0.5 * (log2(low) + log2(high))));
  const double half = 0.5 * (log2(high) - log2(low)) + 0.75;
  *block = static_cast<int>((sizeof(A) == 4 ? 120.0 : 1000.0) / half);
}

// What a block keeps of kThreads ranks.
template <typename A>
struct Rank {
  A weight, offset, row_max, row_factor;
  int32_t image, label;
};

template <typename T>
__device__ __forceinline__ Rank<Acc<T>> load_rank(const CdirScore<T>& d, int64_t unit, int64_t r,
                                                  double power_of_two) {
  const double weight = get_raw(d.rank_weight + r);
  const int32_t index = get_raw(d.indices + unit * d.top + r);
  const bool good = index >= 0 && index < d.n;
  const int32_t image = good ? index : 0;
  Rank<Acc<T>> rank;
  rank.weight = static_cast<Acc<T>>(weight * power_of_two);
  rank.offset = static_cast<Acc<T>>(((1 - weight) + d.min_prob) * power_of_two);
  rank.row_max = get(d.row_max + image);
  rank.row_factor = good ? get(d.row_factor + image) : static_cast<Acc<T>>(float_of(0x7fc00000u));
  rank.image = image;
  rank.label = d.labels != nullptr ? static_cast<int32_t>(get_raw(d.labels + image)) : 0;
  return rank;
}

// V concepts per thread; threads beyond the concepts share the ranks. V > 1 needs k % V == 0.
// Grid: units * tiles blocks.
template <typename T, int V>
__global__ void cdir_units(CdirScore<T> d) {
  typedef Acc<T> A;
  IGD_SHARED(Rank<A>, ranks, kThreads);
  IGD_SHARED(double, shared, kWarps);
  IGD_SHARED(double, partial, kThreads* V);
  const int64_t unit = blockIdx.x / d.tiles;
  const int column = static_cast<int>(threadIdx.x) % d.columns,
            part = static_cast<int>(threadIdx.x) / d.columns;
  const int parts = kThreads / d.columns;
  const int64_t concept_ = (blockIdx.x % d.tiles * d.columns + column) * V;
  const bool valid = part < parts && concept_ < d.k;
  int power, block;
  factor_range<A>(d.rank_weight, d.top, d.min_prob, shared, &power, &block);
  const double power_of_two = ldexp(1.0, power);

  A mantissa[V], product[V];
  int exponent[V] = {};
  IGD_UNROLL
  for (int i = 0; i < V; ++i) mantissa[i] = 1, product[i] = 1;
  int multiplied = 0;
  for (int64_t first = 0; first < d.top; first += kThreads) {
    const int count = d.top - first < kThreads ? static_cast<int>(d.top - first) : kThreads;
    __syncthreads();
    if (static_cast<int>(threadIdx.x) < count) {
      ranks[threadIdx.x] = load_rank(d, unit, first + threadIdx.x, power_of_two);
    }
    __syncthreads();
    if (!valid) continue;
    for (int r = part; r < count; r += parts) {
      const Rank<A> rank = ranks[r];
      A x[V];
      get_many<V>(d.p + static_cast<int64_t>(rank.image) * d.k + concept_, x);
      IGD_UNROLL
      for (int i = 0; i < V; ++i) {
        A s = exp((x[i] - rank.row_max) * d.scale) * rank.row_factor;
        if (d.labels != nullptr && concept_ + i != rank.label) s = s != s ? s : A(0);
        product[i] *= s * rank.weight + rank.offset;
      }
      if (++multiplied == block) {
        multiplied = 0;
        IGD_UNROLL
        for (int i = 0; i < V; ++i) {
          mantissa[i] = split_exponent(mantissa[i] * split_exponent(product[i], &exponent[i]), &exponent[i]);
          product[i] = 1;
        }
      }
    }
  }
  double score[V];
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    mantissa[i] = mantissa[i] * split_exponent(product[i], &exponent[i]);
    score[i] = log(static_cast<double>(mantissa[i])) + exponent[i] * 0.69314718055994530942;
    partial[threadIdx.x * V + i] = score[i];
  }
  __syncthreads();
  if (!valid || part != 0) return;
  IGD_UNROLL
  for (int i = 0; i < V; ++i) {
    for (int r = 1; r < parts; ++r) score[i] += partial[(r * d.columns + column) * V + i];
    score[i] -= static_cast<double>(power) * static_cast<double>(d.top) * 0.69314718055994530942;
    put_raw(d.scores + unit * d.k + concept_ + i, score[i]);
  }
}

// scores[u,k] -= lambda * (logsumexp_u scores[u,k] - log U), a lane per concept, warps share the units.
// Grid: ceil(k / kWarp) blocks.
__global__ void cdir_prior(double* scores, int64_t units, int64_t k, double lambda) {
  IGD_SHARED(double, shared, kThreads);
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
  const int64_t concept_ = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const bool valid = concept_ < k;
  double* column = scores + concept_;
  double highest = valid ? get_raw(column) : 0;
  for (int64_t u = warp; u < units && valid; u += kWarps) {
    const double x = get_raw(column + u * k);
    highest = x > highest || x != x ? x : highest;
  }
  shared[threadIdx.x] = highest;
  __syncthreads();
  for (int w = 0; w < kWarps; ++w) {
    const double x = shared[w * kWarp + lane];
    highest = x > highest || x != x ? x : highest;
  }
  __syncthreads();
  double total = 0;
  for (int64_t u = warp; u < units && valid; u += kWarps) total += exp(get_raw(column + u * k) - highest);
  shared[threadIdx.x] = total;
  __syncthreads();
  total = 0;
  for (int w = 0; w < kWarps; ++w) total += shared[w * kWarp + lane];
  const double prior = lambda * (highest + log(total / static_cast<double>(units)));
  for (int64_t u = warp; u < units && valid; u += kWarps) {
    put_raw(column + u * k, get_raw(column + u * k) - prior);
  }
}

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_CDIR_SCORE_CUH_
