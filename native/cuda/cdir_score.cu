// Launchers of CD-IR scoring. Compiled and emulated, not run on a GPU.
#include "cdir_score.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

template <typename T, int V>
igd_status start(const char* function, void* stream, CdirScore<T> d) {
  const int64_t packs = blocks_for(d.k, V);
  d.columns = static_cast<int>(packs < kThreads ? packs : kThreads);
  d.tiles = static_cast<int>(blocks_for(packs, d.columns));
  Launches launches(function, stream);
  launches.start("cdir_rows", cdir_rows<T, V>, blocks_for(d.n, kWarps), 0, d);
  launches.start("cdir_units", cdir_units<T, V>, d.units * d.tiles, 0, d);
  if (d.lambda != 0) {
    launches.start("cdir_prior", cdir_prior, blocks_for(d.k, kWarp), 0, d.scores, d.units, d.k, d.lambda);
  }
  return launches.status();
}

bool in_range(const char* function, const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return true;
  fail(IGD_INVALID_ARGUMENT, "%s: %s: expected a number from %g to %g, got %g", function, name, low, high,
       value);
  return false;
}

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

int64_t igd_cdir_score_workspace_cuda(int dtype, int64_t n) {
  const char* function = "igd_cdir_score_workspace_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype) || !check.size("n", n) || !check.product("workspace [2,N]", n, 2, 16)) {
    return -1;
  }
  return 2 * aligned(n * accumulator_bytes_of(dtype));
}

igd_status igd_cdir_score_cuda(int dtype, const void* p, int64_t n, int64_t k, double scale,
                               const int64_t* labels, const int32_t* indices, int64_t u, int64_t top,
                               const double* rank_weight, double min_prob, double lambda, double* scores,
                               void* workspace, void* stream) {
  const char* function = "igd_cdir_score_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype) || !check.size("n", n) || !check.size("k", k) || !check.size("u", u) ||
      !check.size("top", top) || !check.product("p [N,K]", n, k, bytes_of(dtype)) ||
      !check.product("indices [U,top]", u, top, 4) || !check.product("scores [U,K]", u, k, 8) ||
      !check.pointer("p", p, bytes_of(dtype)) || !check.optional_pointer("labels", labels, 8) ||
      !check.pointer("indices", indices, 4) || !check.pointer("rank_weight", rank_weight, 8) ||
      !check.pointer("scores", scores, 8) || !check.pointer("workspace", workspace, 16) ||
      !in_range(function, "scale", scale, 1e-6, 1e6) || !in_range(function, "min_prob", min_prob, 0, 1) ||
      !in_range(function, "lambda", lambda, -1e6, 1e6)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (n > INT32_MAX / 2 || top > n) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: n, top: expected at most 2^30 images and as many ranks at most, got %lld and %lld",
                     function, static_cast<long long>(n), static_cast<long long>(top));
  }
  if (!fits(function, k)) return IGD_UNSUPPORTED;
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    typedef Acc<T> A;
    constexpr int V = kVector<T>;
    CdirScore<T> d = {};
    d.p = static_cast<const T*>(p);
    d.n = n;
    d.k = k;
    d.scale = static_cast<A>(scale);
    d.labels = labels;
    d.indices = indices;
    d.units = u;
    d.top = top;
    d.rank_weight = rank_weight;
    d.min_prob = min_prob;
    d.lambda = lambda;
    d.scores = scores;
    d.row_max = static_cast<A*>(workspace);
    d.row_factor =
        reinterpret_cast<A*>(static_cast<char*>(workspace) + aligned(n * static_cast<int64_t>(sizeof(A))));
    const bool vectors = k % V == 0 && aligned16(p);
    return vectors ? start<T, V>(function, stream, d) : start<T, 1>(function, stream, d);
  });
}

}  // extern "C"
