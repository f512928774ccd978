// The C API of CD-IR: checks, then drivers that share tiles of concepts, or the units of one, among threads.
#include <math.h>

#include <atomic>

#include "checks.h"
#include "igd/kernels.h"
#include "kernel_table.h"
#include "runtime.h"

namespace igd {
namespace {

// Rough rates of one thread, only used to decide whether threads pay.
constexpr double kSelectedPerNanosecond = 1;
constexpr double kFactorsPerNanosecond = 4;

// Tiles filled from one reading of the cosines: 256 bytes of every row.
constexpr int64_t kTilesPerFill = 4;
// Units per task where the units of one tile are shared.
constexpr int64_t kUnitsPerTask = 64;

int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }
int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }

// Parts of one scratch block, each aligned to 64 bytes.
class Memory {
 public:
  template <typename T>
  int64_t reserve(int64_t elements) {
    const int64_t offset = size_;
    size_ += blocks(elements * static_cast<int64_t>(sizeof(T)), 64) * 64;
    return offset;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

template <typename T>
T* at(char* memory, int64_t offset) {
  return reinterpret_cast<T*>(memory + offset);
}

void keep_smallest(std::atomic<int64_t>* slot, int64_t value) {
  int64_t seen = slot->load();
  while ((seen < 0 || value < seen) && !slot->compare_exchange_weak(seen, value)) {
  }
}

char* scratch_or_fail(const char* function, int64_t bytes) {
  char* memory = static_cast<char*>(scratch(static_cast<size_t>(bytes)));
  if (memory == nullptr) {
    fail(IGD_OUT_OF_MEMORY, "%s: no memory for %lld bytes of scratch; free some", function,
         static_cast<long long>(bytes));
  }
  return memory;
}

template <typename T>
igd_status top_images(const T* q, int64_t n, int64_t u, int64_t top, int32_t* indices) {
  const KernelTable<T>& table = kernels<T>();
  constexpr int64_t lanes = 64 / sizeof(T), width = kTopLines * lanes;
  const int64_t tasks = blocks(u, width);
  const double values = static_cast<double>(n) * static_cast<double>(u);
  const int workers = static_cast<int>(at_most(workers_for(values / kSelectedPerNanosecond), tasks));
  Memory layout;
  const int64_t packed_at = layout.reserve<T>(n * width);
  const int64_t maxima_at = layout.reserve<T>(n * width);
  const int64_t candidates_at = layout.reserve<int32_t>(n * lanes);
  const int64_t values_at = layout.reserve<T>(2 * n);
  const int64_t indices_at = layout.reserve<int32_t>(2 * n);
  const int64_t work_at = layout.reserve<T>(n);
  char* memory = scratch_or_fail("igd_top_images", layout.size() * workers);
  if (memory == nullptr) return IGD_OUT_OF_MEMORY;
  std::atomic<int64_t> bad{-1};
  parallel(workers, tasks, [&](int64_t begin, int64_t end, int worker) {
    char* own = memory + worker * layout.size();
    const TopImagesScratch<T> parts = {at<T>(own, packed_at),           at<T>(own, maxima_at),
                                       at<int32_t>(own, candidates_at), at<T>(own, values_at),
                                       at<int32_t>(own, indices_at),    at<T>(own, work_at)};
    for (int64_t task = begin; task < end; ++task) {
      const int64_t u0 = task * width;
      const int64_t found =
          table.top_images(q, n, u, u0, at_most(width, u - u0), top, parts, indices + u0 * top);
      if (found >= 0) keep_smallest(&bad, found);
    }
  });
  if (bad >= 0) {
    return fail(IGD_INVALID_ARGUMENT,
                "igd_top_images: q: expected numbers, got NaN at image %lld, unit %lld; check the model",
                static_cast<long long>(bad / u), static_cast<long long>(bad % u));
  }
  return IGD_OK;
}

// The factors of the ranks, scaled by a power of two to spread evenly around 1.
struct Ranks {
  double shift;   // log2 of that power, times the number of ranks
  int64_t block;  // factors that multiply safely
};

template <typename T>
Ranks scale_ranks(const double* rank_weight, int64_t top, double min_prob, T* weight, T* offset) {
  double low = 2, high = 0;
  for (int64_t r = 0; r < top; ++r) {
    const double least = (1 - rank_weight[r]) + min_prob;
    low = least < low ? least : low;
    high = least + rank_weight[r] > high ? least + rank_weight[r] : high;
  }
  const int power = static_cast<int>(lrint(-0.5 * (log2(low) + log2(high))));
  for (int64_t r = 0; r < top; ++r) {
    weight[r] = static_cast<T>(ldexp(rank_weight[r], power));
    offset[r] = static_cast<T>(ldexp((1 - rank_weight[r]) + min_prob, power));
  }
  const double half = 0.5 * (log2(high) - log2(low)) + 0.75;
  const double range = sizeof(T) == 4 ? 120 : 1000;
  return {static_cast<double>(power) * static_cast<double>(top), static_cast<int64_t>(range / half)};
}

template <typename T>
struct Score {
  const T* p;
  int64_t n, k;
  double scale;
  const int64_t* labels;
  const int32_t* indices;
  int64_t u, top;
  const double* rank_weight;
  double min_prob, lambda;
  double* out;
};

template <typename T>
igd_status score(const Score<T>& s) {
  const KernelTable<T>& table = kernels<T>();
  constexpr int64_t lanes = 64 / sizeof(T);
  const int64_t tiles = blocks(s.k, lanes);
  const double factors = static_cast<double>(s.u) * static_cast<double>(s.top) * static_cast<double>(s.k) +
                         static_cast<double>(s.n) * static_cast<double>(s.k);
  const int workers = workers_for(factors / kFactorsPerNanosecond);
  const bool by_tile = tiles >= 4 * workers;
  const int64_t fill = by_tile ? at_most(kTilesPerFill, blocks(tiles, workers)) : 1;

  Memory shared;
  const int64_t max_at = shared.reserve<T>(s.n);
  const int64_t factor_at = shared.reserve<T>(s.n);
  const int64_t weight_at = shared.reserve<T>(s.top);
  const int64_t offset_at = shared.reserve<T>(s.top);
  Memory own;
  const int64_t tile_at = own.reserve<T>(fill * s.n * lanes);
  const int64_t scores_at = own.reserve<double>(s.u * lanes);
  char* memory = scratch_or_fail("igd_cdir_score", shared.size() + own.size() * (by_tile ? workers : 1));
  if (memory == nullptr) return IGD_OUT_OF_MEMORY;
  T* row_max = at<T>(memory, max_at);
  T* row_factor = at<T>(memory, factor_at);
  T* weight = at<T>(memory, weight_at);
  T* offset = at<T>(memory, offset_at);
  const Ranks ranks = scale_ranks<T>(s.rank_weight, s.top, s.min_prob, weight, offset);

  std::atomic<int64_t> bad{-1};
  parallel(workers, s.n, [&](int64_t begin, int64_t end, int) {
    const int64_t found = table.cdir_rows(s.p, s.k, begin, end, s.scale, row_max, row_factor);
    if (found >= 0) keep_smallest(&bad, found);
  });
  if (bad >= 0) {
    return fail(IGD_INVALID_ARGUMENT,
                "igd_cdir_score: p: expected finite numbers, got %g at image %lld, concept %lld; check the "
                "features",
                static_cast<double>(s.p[bad]), static_cast<long long>(bad / s.k),
                static_cast<long long>(bad % s.k));
  }

  if (by_tile) {
    parallel(workers, tiles, [&](int64_t begin, int64_t end, int worker) {
      char* mine = memory + shared.size() + worker * own.size();
      T* tile = at<T>(mine, tile_at);
      double* scores = at<double>(mine, scores_at);
      for (int64_t t0 = begin; t0 < end; t0 += fill) {
        const int64_t count = at_most(fill, end - t0);
        table.cdir_tiles(s.p, s.n, s.k, 0, s.n, t0, count, s.scale, row_max, row_factor, s.labels, tile);
        for (int64_t t = 0; t < count; ++t) {
          const int64_t c0 = (t0 + t) * lanes;
          table.cdir_units(tile + t * s.n * lanes, s.indices, 0, s.u, s.top, weight, offset, ranks.block,
                           ranks.shift, scores);
          table.cdir_finish(scores, s.u, s.lambda, at_most(lanes, s.k - c0), c0, s.k, s.out);
        }
      }
    });
    return IGD_OK;
  }
  char* mine = memory + shared.size();
  T* tile = at<T>(mine, tile_at);
  double* scores = at<double>(mine, scores_at);
  for (int64_t t = 0; t < tiles; ++t) {
    parallel(workers, s.n, [&](int64_t begin, int64_t end, int) {
      table.cdir_tiles(s.p, s.n, s.k, begin, end, t, 1, s.scale, row_max, row_factor, s.labels, tile);
    });
    parallel(workers, blocks(s.u, kUnitsPerTask), [&](int64_t begin, int64_t end, int) {
      table.cdir_units(tile, s.indices, begin * kUnitsPerTask, at_most(end * kUnitsPerTask, s.u), s.top,
                       weight, offset, ranks.block, ranks.shift, scores);
    });
    table.cdir_finish(scores, s.u, s.lambda, at_most(lanes, s.k - t * lanes), t * lanes, s.k, s.out);
  }
  return IGD_OK;
}

bool in_range(const char* function, const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return true;
  fail(IGD_INVALID_ARGUMENT, "%s: %s: expected a number from %g to %g, got %g", function, name, low, high,
       value);
  return false;
}

bool image_count(const char* function, int64_t n, int64_t top) {
  if (n > INT32_MAX / 2) {
    fail(IGD_INVALID_ARGUMENT, "%s: n: expected at most 2^30 images, got %lld", function,
         static_cast<long long>(n));
    return false;
  }
  if (top >= 1 && top <= n) return true;
  fail(IGD_INVALID_ARGUMENT,
       "%s: top: expected between 1 and %lld images per unit, got %lld; use a smaller top or more images",
       function, static_cast<long long>(n), static_cast<long long>(top));
  return false;
}

int64_t size_of(int dtype) { return dtype == IGD_FLOAT32 ? 4 : 8; }

}  // namespace
}  // namespace igd

using igd::Checks;

extern "C" {

igd_status igd_top_images(int dtype, const void* q, int64_t n, int64_t u, int64_t top, int32_t* indices) {
  const char* function = "igd_top_images";
  const Checks check(function);
  if (!check.dtype(dtype) || !check.size("n", n) || !check.size("u", u) ||
      !igd::image_count(function, n, top) || !check.product("q [N,U]", n, u, igd::size_of(dtype)) ||
      !check.product("indices [U,top]", u, top, 4) || !check.pointer("q", q, igd::size_of(dtype)) ||
      !check.pointer("indices", indices, 4)) {
    return IGD_INVALID_ARGUMENT;
  }
  return dtype == IGD_FLOAT32 ? igd::top_images(static_cast<const float*>(q), n, u, top, indices)
                              : igd::top_images(static_cast<const double*>(q), n, u, top, indices);
}

igd_status igd_cdir_score(int dtype, const void* p, int64_t n, int64_t k, double scale, const int64_t* labels,
                          const int32_t* indices, int64_t u, int64_t top, const double* rank_weight,
                          double min_prob, double lambda, double* scores) {
  const char* function = "igd_cdir_score";
  const Checks check(function);
  if (!check.dtype(dtype) || !check.size("n", n) || !check.size("k", k) || !check.size("u", u) ||
      !igd::image_count(function, n, top) || !check.product("p [N,K]", n, k, igd::size_of(dtype)) ||
      !check.product("indices [U,top]", u, top, 4) || !check.product("scores [U,K]", u, k, 8) ||
      !check.pointer("p", p, igd::size_of(dtype)) || !check.optional_pointer("labels", labels, 8) ||
      !check.pointer("indices", indices, 4) || !check.pointer("rank_weight", rank_weight, 8) ||
      !check.pointer("scores", scores, 8) || !igd::in_range(function, "scale", scale, 1e-6, 1e6) ||
      !igd::in_range(function, "min_prob", min_prob, 0, 1) ||
      !igd::in_range(function, "lambda", lambda, -1e6, 1e6)) {
    return IGD_INVALID_ARGUMENT;
  }
  for (int64_t r = 0; r < top; ++r) {
    if (!igd::in_range(function, "rank_weight", rank_weight[r], 0, 1) ||
        !igd::in_range(function, "1 - rank_weight + min_prob", (1 - rank_weight[r]) + min_prob, 1e-12, 2)) {
      return IGD_INVALID_ARGUMENT;
    }
  }
  for (int64_t i = 0; i < u * top; ++i) {
    if (indices[i] < 0 || indices[i] >= n) {
      return igd::fail(IGD_INVALID_ARGUMENT, "%s: indices[%lld]: expected 0 to %lld, got %lld", function,
                       static_cast<long long>(i), static_cast<long long>(n - 1),
                       static_cast<long long>(indices[i]));
    }
  }
  for (int64_t i = 0; labels != nullptr && i < n; ++i) {
    if (labels[i] < 0 || labels[i] >= k) {
      return igd::fail(IGD_INVALID_ARGUMENT,
                       "%s: labels[%lld]: expected 0 to %lld, got %lld; labels are concepts here", function,
                       static_cast<long long>(i), static_cast<long long>(k - 1),
                       static_cast<long long>(labels[i]));
    }
  }
  return dtype == IGD_FLOAT32
             ? igd::score<float>({static_cast<const float*>(p), n, k, scale, labels, indices, u, top,
                                  rank_weight, min_prob, lambda, scores})
             : igd::score<double>({static_cast<const double*>(p), n, k, scale, labels, indices, u, top,
                                   rank_weight, min_prob, lambda, scores});
}

}  // extern "C"
