// Launchers of the leave-one-out kernels at the penultimate layer. Compiled and emulated, not run on a GPU.
#include "loo_penultimate.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

template <typename T>
void accumulate(Launches* launches, LooPenultimate<T> l, int64_t classes) {
  constexpr int V = kVector<T>;
  const bool vectors = aligned16(l.a) && l.stride.n % V == 0;
  const auto start = [&](const char* name, void (*kernel)(LooPenultimate<T>), int64_t tile) {
    l.tiles = blocks_for(l.units, tile);
    launches->start(name, kernel, classes * l.tiles, 0, l);
  };
  if (l.stride.s == 1 && l.positions > 1) {
    l.vectors = vectors && l.stride.u % V == 0;
    l.width = 1;
    while (l.width < kWarp && l.width * (l.vectors ? V : 1) < l.positions) l.width *= 2;
    start("loo_rows", loo_rows<T>, kLooRowTile);
  } else if (vectors && l.stride.u == 1 && l.units % V == 0 && (l.positions == 1 || l.stride.s % V == 0)) {
    start("loo_columns", loo_columns<T, V>, kLooTile<V>);
  } else {
    start("loo_columns", loo_columns<T, 1>, kLooTile<1>);
  }
}

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

igd_status igd_loo_penultimate_accumulate_cuda(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                               int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                               const int64_t* labels, int64_t k, int signed_difference,
                                               double* class_sums, int64_t* class_counts, int64_t* bad_label,
                                               void* stream) {
  const char* function = "igd_loo_penultimate_accumulate_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = bytes_of(dtype);
  if (!check.size("n", n) || !check.size("u", u) || !check.size("s", s) || !check.size("k", k) ||
      !check.strides("a", {stride_n, stride_u, stride_s}, n, u, s, bytes) ||
      !check.product("class_sums [K,U]", k, u, 8) || !check.pointer("a", a, bytes) ||
      !check.pointer("labels", labels, 8) || !check.pointer("class_sums", class_sums, 8) ||
      !check.pointer("class_counts", class_counts, 8) || !check.pointer("bad_label", bad_label, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (!fits(function, u)) return IGD_UNSUPPORTED;
  Launches launches(function, stream);
  launches.start("check_labels", check_labels, 1, 0, labels, n, k, bad_label);
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    const LooPenultimate<T> l = {static_cast<const T*>(a),
                                 {stride_n, stride_u, stride_s},
                                 n,
                                 u,
                                 s,
                                 labels,
                                 0,
                                 signed_difference != 0,
                                 bad_label,
                                 class_sums,
                                 class_counts,
                                 0,
                                 false};
    accumulate<T>(&launches, l, k);
    return launches.status();
  });
}

igd_status igd_loo_penultimate_finish_cuda(int dtype, const void* weight, int64_t k, int64_t u,
                                           const double* class_sums, const int64_t* class_counts,
                                           int signed_difference, int normalization, double* importance,
                                           void* stream) {
  const char* function = "igd_loo_penultimate_finish_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype) || !check.size("k", k) || !check.size("u", u) ||
      !check.product("importance [U,K]", u, k, 8) || !check.pointer("weight", weight, bytes_of(dtype)) ||
      !check.pointer("class_sums", class_sums, 8) || !check.pointer("class_counts", class_counts, 8) ||
      !check.pointer("importance", importance, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (normalization != 0 && normalization != 1) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: normalization: expected 0 (class mean) or 1 (reference), got %d", function,
                     normalization);
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    Launches launches(function, stream);
    launches.start("finish_importance", finish_importance<T>, blocks_for(u * k, kThreads), 0,
                   static_cast<const T*>(weight), k, u, class_sums, class_counts, signed_difference != 0,
                   normalization == 0, importance);
    return launches.status();
  });
}

}  // extern "C"
