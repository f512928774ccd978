// Launchers of the leave-one-out kernels inside the network. Compiled and emulated, not run on a GPU.
#include "loo_interior.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

// Output positions of a block: enough work for its threads, deltas that fit the shared memory.
constexpr int kPositions = 16;
constexpr int64_t kMostTaps = 7;

template <typename T, int V>
igd_status start(const char* function, void* stream, const AblatedConvolution<T>& k, int64_t pairs) {
  Launches launches(function, stream);
  launches.start("ablate_convolution", ablate_convolution<T, V>, pairs * k.tiles,
                 k.tile * k.kernel * k.kernel * static_cast<int64_t>(sizeof(Acc<T>)), k);
  return launches.status();
}

template <typename T, int V>
igd_status start(const char* function, void* stream, AblatedIdentity<T> k, int64_t pairs) {
  k.tiles = static_cast<int>(blocks_for(k.size, kThreads * V));
  Launches launches(function, stream);
  launches.start("ablate_identity", ablate_identity<T, V>, pairs * k.tiles, 0, k);
  return launches.status();
}

}  // namespace
}  // namespace cuda
}  // namespace igd

using namespace igd::cuda;
using igd::Checks;

extern "C" {

igd_status igd_loo_ablate_convolution_cuda(int dtype, const void* base, int64_t n, int64_t oh, int64_t ow,
                                           int64_t o, const void* input, int64_t h, int64_t w, int64_t u,
                                           const void* removed, const void* weight, int64_t kernel,
                                           int64_t stride, int64_t padding, int64_t groups, int relu,
                                           const int64_t* units, const int64_t* images, int64_t pairs,
                                           void* out, void* stream) {
  const char* function = "igd_loo_ablate_convolution_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = bytes_of(dtype);
  if (!check.size("n", n) || !check.size("oh", oh) || !check.size("ow", ow) || !check.size("o", o) ||
      !check.size("h", h) || !check.size("w", w) || !check.size("u", u) || !check.size("kernel", kernel) ||
      !check.size("stride", stride) || !check.size("groups", groups) || !check.size("pairs", pairs) ||
      !check.pointer("base", base, bytes) || !check.pointer("input", input, bytes) ||
      !check.optional_pointer("removed", removed, bytes) ||
      !check.pointer("weight", weight, accumulator_bytes_of(dtype)) || !check.pointer("units", units, 8) ||
      !check.pointer("images", images, 8) || !check.pointer("out", out, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (kernel > kMostTaps) {
    return igd::fail(IGD_UNSUPPORTED, "%s: kernel: expected 1 to %lld, got %lld", function,
                     static_cast<long long>(kMostTaps), static_cast<long long>(kernel));
  }
  if (padding < 0 || padding >= kernel) {
    return igd::fail(IGD_INVALID_ARGUMENT, "%s: padding: expected 0 to kernel - 1 = %lld, got %lld", function,
                     static_cast<long long>(kernel - 1), static_cast<long long>(padding));
  }
  if (u % groups != 0 || o % groups != 0) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: groups: expected a divisor of U = %lld and O = %lld, got %lld", function,
                     static_cast<long long>(u), static_cast<long long>(o), static_cast<long long>(groups));
  }
  // Rows and columns of an image, its elements and those of a block are ints.
  if (!indexable(function, "an image [H,W]", h, w) || !indexable(function, "an image [H*W,U]", h * w, u) ||
      !indexable(function, "an image [OH,OW]", oh, ow) ||
      !indexable(function, "an image [OH*OW,O]", oh * ow, o) ||
      !indexable(function, "the stride", stride, h) || !indexable(function, "the stride", stride, w)) {
    return IGD_UNSUPPORTED;
  }
  const int64_t expected_h = (h + 2 * padding - kernel) / stride + 1;
  const int64_t expected_w = (w + 2 * padding - kernel) / stride + 1;
  if (h + 2 * padding < kernel || w + 2 * padding < kernel || oh != expected_h || ow != expected_w) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: oh, ow: expected %lld x %lld for an input of %lld x %lld, got %lld x %lld",
                     function, static_cast<long long>(expected_h), static_cast<long long>(expected_w),
                     static_cast<long long>(h), static_cast<long long>(w), static_cast<long long>(oh),
                     static_cast<long long>(ow));
  }
  if (!check.product("base [N,OH,OW,O]", n, oh * ow * o, bytes) ||
      !check.product("input [N,H,W,U]", n, h * w * u, bytes) ||
      !check.product("out [P,OH,OW,O]", pairs, oh * ow * o, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    constexpr int V = kVector<T>;
    AblatedConvolution<T> k = {};
    k.base = static_cast<const T*>(base);
    k.n = n;
    k.oh = static_cast<int>(oh);
    k.ow = static_cast<int>(ow);
    k.o = static_cast<int>(o);
    k.input = static_cast<const T*>(input);
    k.h = static_cast<int>(h);
    k.w = static_cast<int>(w);
    k.u = static_cast<int>(u);
    k.removed = static_cast<const T*>(removed);
    k.weight = static_cast<const Acc<T>*>(weight);
    k.kernel = static_cast<int>(kernel);
    k.stride = static_cast<int>(stride);
    k.padding = static_cast<int>(padding);
    k.groups = static_cast<int>(groups);
    k.relu = relu != 0;
    k.units = units;
    k.images = images;
    k.out = static_cast<T*>(out);
    k.tile = static_cast<int>(oh * ow < kPositions ? oh * ow : kPositions);
    k.tiles = static_cast<int>(blocks_for(oh * ow, k.tile));
    const bool vectors = (o / groups) % V == 0 && aligned16(base) && aligned16(weight) && aligned16(out);
    return vectors ? start<T, V>(function, stream, k, pairs) : start<T, 1>(function, stream, k, pairs);
  });
}

igd_status igd_loo_ablate_identity_cuda(int dtype, const void* a, int64_t n, int64_t s, int64_t u,
                                        const int64_t* units, const int64_t* images, int64_t pairs, void* out,
                                        void* stream) {
  const char* function = "igd_loo_ablate_identity_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = bytes_of(dtype);
  if (!check.size("n", n) || !check.size("s", s) || !check.size("u", u) || !check.size("pairs", pairs) ||
      !check.pointer("a", a, bytes) || !check.pointer("units", units, 8) ||
      !check.pointer("images", images, 8) || !check.pointer("out", out, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (!indexable(function, "an image [S,U]", s, u)) return IGD_UNSUPPORTED;
  if (!check.product("a [N,S,U]", n, s * u, bytes) || !check.product("out [P,S,U]", pairs, s * u, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    constexpr int V = kVector<T>;
    const AblatedIdentity<T> k = {static_cast<const T*>(a), n,     static_cast<int>(s * u),
                                  static_cast<int>(u),      units, images,
                                  static_cast<T*>(out),     0};
    const bool vectors = k.size % V == 0 && aligned16(a) && aligned16(out);
    return vectors ? start<T, V>(function, stream, k, pairs) : start<T, 1>(function, stream, k, pairs);
  });
}

igd_status igd_loo_differences_cuda(int dtype, const void* logits, int64_t k, const void* base,
                                    const int64_t* labels, int64_t n, const int64_t* images, int64_t pairs,
                                    int signed_difference, double* out, void* stream) {
  const char* function = "igd_loo_differences_cuda";
  const Checks check(function);
  if (!known_dtype(function, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = bytes_of(dtype);
  if (!check.size("k", k) || !check.size("n", n) || !check.size("pairs", pairs) ||
      !check.product("logits [P,K]", pairs, k, bytes) || !check.product("base [N,K]", n, k, bytes) ||
      !check.pointer("logits", logits, bytes) || !check.pointer("base", base, bytes) ||
      !check.pointer("labels", labels, 8) || !check.pointer("images", images, 8) ||
      !check.pointer("out", out, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  return for_dtype(dtype, [&](auto zero) {
    typedef decltype(zero) T;
    Launches launches(function, stream);
    launches.start("loo_differences", loo_differences<T>, blocks_for(pairs, kThreads), 0,
                   static_cast<const T*>(logits), k, static_cast<const T*>(base), labels, n, images, pairs,
                   signed_difference != 0, out);
    return launches.status();
  });
}

}  // extern "C"
