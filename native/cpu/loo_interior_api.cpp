// The C API of leave-one-out inside the network: checks, then drivers that share pairs among threads.
#include <math.h>
#include <string.h>

#include "checks.h"
#include "igd/kernels.h"
#include "loo_interior_table.h"
#include "runtime.h"

namespace igd {
namespace {

// Rough rates of one thread, only used to decide whether threads pay.
constexpr double kWriteBytesPerNanosecond = 8;
constexpr double kProductsPerNanosecond = 16;
constexpr int64_t kMostTaps = 7;

template <typename T>
void ablate(const AblatedConvolution<T>& c, int64_t begin, int64_t end) {
#if defined(IGD_HAVE_X86_ISAS)
  switch (igd_isa_active()) {
    case IGD_ISA_AVX512:
      return avx512::ablate_convolution(c, begin, end);
    case IGD_ISA_AVX2:
      return avx2::ablate_convolution(c, begin, end);
    default:
      break;
  }
#endif
  portable::ablate_convolution(c, begin, end);
}

template <typename T>
void convolution(const AblatedConvolution<T>& c, int64_t pairs) {
  const double elements = static_cast<double>(pairs) * static_cast<double>(c.oh) * static_cast<double>(c.ow) *
                          static_cast<double>(c.o);
  const double products = elements / static_cast<double>(c.groups) * static_cast<double>(c.kernel * c.kernel);
  parallel(workers_for(elements * sizeof(T) / kWriteBytesPerNanosecond + products / kProductsPerNanosecond),
           pairs, [&](int64_t begin, int64_t end, int) { ablate(c, begin, end); });
}

int64_t bytes_of(int dtype) { return dtype == IGD_BFLOAT16 ? 2 : dtype == IGD_FLOAT32 ? 4 : 8; }

bool known_dtype(const char* function, int dtype) {
  if (dtype == IGD_FLOAT32 || dtype == IGD_FLOAT64 || dtype == IGD_BFLOAT16) return true;
  fail(IGD_INVALID_ARGUMENT, "%s: dtype: expected 0 (float32), 1 (float64) or 2 (bfloat16), got %d", function,
       dtype);
  return false;
}

// Four factors must be addressable.
bool product(const Checks& check, const char* name, int64_t a, int64_t b, int64_t c, int64_t d,
             int64_t bytes) {
  int64_t rows, columns;
  if (__builtin_mul_overflow(a, b, &rows)) rows = INT64_MAX;
  if (__builtin_mul_overflow(c, d, &columns)) columns = INT64_MAX;
  return check.product(name, rows, columns, bytes);
}

// Every index must be in [0,limit).
bool indices(const char* function, const char* name, const int64_t* values, int64_t count, int64_t limit) {
  for (int64_t i = 0; i < count; ++i) {
    if (values[i] < 0 || values[i] >= limit) {
      fail(IGD_INVALID_ARGUMENT, "%s: %s[%lld]: expected 0 to %lld, got %lld", function, name,
           static_cast<long long>(i), static_cast<long long>(limit - 1), static_cast<long long>(values[i]));
      return false;
    }
  }
  return true;
}

template <typename T>
int64_t differences(const T* logits, int64_t k, const T* base, const int64_t* labels, const int64_t* images,
                    int64_t pairs, bool keep_sign, double* out, bool store) {
  for (int64_t p = 0; p < pairs; ++p) {
    const int64_t label = labels[images[p]];
    const double difference =
        static_cast<double>(logits[p * k + label]) - static_cast<double>(base[images[p] * k + label]);
    if (!isfinite(difference)) return p;
    if (store) out[p] = keep_sign ? difference : fabs(difference);
  }
  return -1;
}

}  // namespace
}  // namespace igd

using igd::Checks;

extern "C" {

igd_status igd_loo_ablate_convolution(int dtype, const void* base, int64_t n, int64_t oh, int64_t ow,
                                      int64_t o, const void* input, int64_t h, int64_t w, int64_t u,
                                      const void* removed, const void* weight, int64_t kernel, int64_t stride,
                                      int64_t padding, int64_t groups, int relu, const int64_t* units,
                                      const int64_t* images, int64_t pairs, void* out) {
  static const char* const kName = "igd_loo_ablate_convolution";
  const Checks check(kName);
  if (!igd::known_dtype(kName, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = igd::bytes_of(dtype);
  const int64_t accumulator = dtype == IGD_BFLOAT16 ? 4 : bytes;
  if (!check.size("n", n) || !check.size("oh", oh) || !check.size("ow", ow) || !check.size("o", o) ||
      !check.size("h", h) || !check.size("w", w) || !check.size("u", u) || !check.size("kernel", kernel) ||
      !check.size("stride", stride) || !check.size("groups", groups) || !check.size("pairs", pairs) ||
      !igd::product(check, "base [N,OH,OW,O]", n, oh, ow, o, bytes) ||
      !igd::product(check, "input [N,H,W,U]", n, h, w, u, bytes) ||
      !igd::product(check, "out [P,OH,OW,O]", pairs, oh, ow, o, bytes) ||
      !check.pointer("base", base, bytes) || !check.pointer("input", input, bytes) ||
      !check.optional_pointer("removed", removed, bytes) || !check.pointer("weight", weight, accumulator) ||
      !check.pointer("units", units, 8) || !check.pointer("images", images, 8) ||
      !check.pointer("out", out, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (kernel > igd::kMostTaps) {
    return igd::fail(IGD_UNSUPPORTED, "%s: kernel: expected 1 to %lld, got %lld", kName,
                     static_cast<long long>(igd::kMostTaps), static_cast<long long>(kernel));
  }
  if (padding < 0 || padding >= kernel) {
    return igd::fail(IGD_INVALID_ARGUMENT, "%s: padding: expected 0 to kernel - 1 = %lld, got %lld", kName,
                     static_cast<long long>(kernel - 1), static_cast<long long>(padding));
  }
  if (u % groups != 0 || o % groups != 0) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: groups: expected a divisor of U = %lld and O = %lld, got %lld", kName,
                     static_cast<long long>(u), static_cast<long long>(o), static_cast<long long>(groups));
  }
  const int64_t expected_h = (h + 2 * padding - kernel) / stride + 1;
  const int64_t expected_w = (w + 2 * padding - kernel) / stride + 1;
  if (h + 2 * padding < kernel || w + 2 * padding < kernel || oh != expected_h || ow != expected_w) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: oh, ow: expected %lld x %lld for an input of %lld x %lld, got %lld x %lld", kName,
                     static_cast<long long>(expected_h), static_cast<long long>(expected_w),
                     static_cast<long long>(h), static_cast<long long>(w), static_cast<long long>(oh),
                     static_cast<long long>(ow));
  }
  if (!igd::indices(kName, "units", units, pairs, u) || !igd::indices(kName, "images", images, pairs, n)) {
    return IGD_INVALID_ARGUMENT;
  }
  const auto run = [&](auto zero) {
    typedef decltype(zero) T;
    typedef typename igd::Accumulator<T>::Type Acc;
    igd::convolution<T>({static_cast<const T*>(base), static_cast<const T*>(input),
                         static_cast<const T*>(removed), static_cast<const Acc*>(weight), oh, ow, o, h, w, u,
                         kernel, stride, padding, groups, relu != 0, units, images, static_cast<T*>(out)},
                        pairs);
  };
  if (dtype == IGD_FLOAT32) {
    run(0.0f);
  } else if (dtype == IGD_FLOAT64) {
    run(0.0);
  } else {
    run(igd::BFloat16{0});
  }
  return IGD_OK;
}

igd_status igd_loo_ablate_identity(int dtype, const void* a, int64_t n, int64_t s, int64_t u,
                                   const int64_t* units, const int64_t* images, int64_t pairs, void* out) {
  static const char* const kName = "igd_loo_ablate_identity";
  const Checks check(kName);
  if (!igd::known_dtype(kName, dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = igd::bytes_of(dtype);
  if (!check.size("n", n) || !check.size("s", s) || !check.size("u", u) || !check.size("pairs", pairs) ||
      !igd::product(check, "a [N,S,U]", n, s, u, 1, bytes) ||
      !igd::product(check, "out [P,S,U]", pairs, s, u, 1, bytes) || !check.pointer("a", a, bytes) ||
      !check.pointer("units", units, 8) || !check.pointer("images", images, 8) ||
      !check.pointer("out", out, bytes) || !igd::indices(kName, "units", units, pairs, u) ||
      !igd::indices(kName, "images", images, pairs, n)) {
    return IGD_INVALID_ARGUMENT;
  }
  const int64_t image_bytes = s * u * bytes;
  const double cost =
      static_cast<double>(pairs) * static_cast<double>(image_bytes) / igd::kWriteBytesPerNanosecond;
  igd::parallel(igd::workers_for(cost), pairs, [&](int64_t begin, int64_t end, int) {
    for (int64_t p = begin; p < end; ++p) {
      char* target = static_cast<char*>(out) + p * image_bytes;
      memcpy(target, static_cast<const char*>(a) + images[p] * image_bytes, static_cast<size_t>(image_bytes));
      char* channel = target + units[p] * bytes;
      // All bits 0 is 0.0 in every type.
      for (int64_t q = 0; q < s; ++q) memset(channel + q * u * bytes, 0, static_cast<size_t>(bytes));
    }
  });
  return IGD_OK;
}

igd_status igd_loo_differences(int dtype, const void* logits, int64_t k, const void* base,
                               const int64_t* labels, int64_t n, const int64_t* images, int64_t pairs,
                               int signed_difference, double* out) {
  static const char* const kName = "igd_loo_differences";
  const Checks check(kName);
  if (!check.dtype(dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = igd::bytes_of(dtype);
  if (!check.size("k", k) || !check.size("n", n) || !check.size("pairs", pairs) ||
      !check.product("logits [P,K]", pairs, k, bytes) || !check.product("base [N,K]", n, k, bytes) ||
      !check.pointer("logits", logits, bytes) || !check.pointer("base", base, bytes) ||
      !check.pointer("labels", labels, 8) || !check.pointer("images", images, 8) ||
      !check.pointer("differences", out, 8) || !igd::indices(kName, "labels", labels, n, k) ||
      !igd::indices(kName, "images", images, pairs, n)) {
    return IGD_INVALID_ARGUMENT;
  }
  const auto run = [&](auto zero, bool store) {
    typedef decltype(zero) T;
    return igd::differences<T>(static_cast<const T*>(logits), k, static_cast<const T*>(base), labels, images,
                               pairs, signed_difference != 0, out, store);
  };
  // First all of them are looked at: after an error nothing has been written.
  const int64_t bad = dtype == IGD_FLOAT32 ? run(0.0f, false) : run(0.0, false);
  if (bad >= 0) {
    return igd::fail(
        IGD_INVALID_ARGUMENT,
        "%s: expected finite logits of the true class, got another difference at pair %lld (image %lld)",
        kName, static_cast<long long>(bad), static_cast<long long>(images[bad]));
  }
  if (dtype == IGD_FLOAT32) {
    run(0.0f, true);
  } else {
    run(0.0, true);
  }
  return IGD_OK;
}

}  // extern "C"
