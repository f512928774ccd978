// Launchers of the Auto-PGD steps. Compiled and emulated, not run on a GPU.
#include "apgd_step.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

struct Call {
  const char* function;
  int dtype;
  const void *x, *point, *previous, *gradient, *step_size;
  int64_t n, d;
  double epsilon, momentum;
  void* next;
  void* stream;
};

bool valid(const Call& k) {
  const Checks check(k.function);
  if (!known_dtype(k.function, k.dtype)) return false;
  const int64_t bytes = bytes_of(k.dtype);
  if (!check.size("n", k.n) || !check.size("d", k.d) || !check.product("x [N,D]", k.n, k.d, bytes) ||
      !check.pointer("x", k.x, bytes) || !check.pointer("point", k.point, bytes) ||
      !check.pointer("previous", k.previous, bytes) || !check.pointer("gradient", k.gradient, bytes) ||
      !check.pointer("step_size", k.step_size, accumulator_bytes_of(k.dtype)) ||
      !check.pointer("next", k.next, bytes)) {
    return false;
  }
  if (!(isfinite(k.epsilon) && k.epsilon >= 0)) {
    fail(IGD_INVALID_ARGUMENT, "%s: epsilon: expected a finite number of at least 0, got %g", k.function,
         k.epsilon);
    return false;
  }
  if (!(k.momentum >= 0 && k.momentum <= 1)) {
    fail(IGD_INVALID_ARGUMENT, "%s: momentum: expected a number from 0 to 1, got %g", k.function, k.momentum);
    return false;
  }
  return true;
}

template <typename T, int V>
igd_status start(const Call& call, const ApgdStep<T>& k, bool linf) {
  Launches launches(call.function, call.stream);
  if (linf) {
    launches.start("apgd_step_linf", apgd_step_linf<T, V>, blocks_for(k.n * k.d, kThreads * V), 0, k);
  } else {
    launches.start("apgd_step_l2", apgd_step_l2<T, V>, k.n, 0, k);
  }
  return launches.status();
}

igd_status run(const Call& call, bool linf) {
  if (!valid(call)) return IGD_INVALID_ARGUMENT;
  return for_dtype(call.dtype, [&](auto zero) {
    typedef decltype(zero) T;
    constexpr int V = kVector<T>;
    const ApgdStep<T> k = {static_cast<const T*>(call.x),
                           static_cast<const T*>(call.point),
                           static_cast<const T*>(call.previous),
                           static_cast<const T*>(call.gradient),
                           static_cast<const Acc<T>*>(call.step_size),
                           call.n,
                           call.d,
                           static_cast<Acc<T>>(call.epsilon),
                           static_cast<Acc<T>>(call.momentum),
                           static_cast<T*>(call.next)};
    const bool vectors = aligned16(call.x) && aligned16(call.point) && aligned16(call.previous) &&
                         aligned16(call.gradient) && aligned16(call.next) && (linf || call.d % V == 0);
    return vectors ? start<T, V>(call, k, linf) : start<T, 1>(call, k, linf);
  });
}

}  // namespace
}  // namespace cuda
}  // namespace igd

extern "C" {

igd_status igd_apgd_step_linf_cuda(int dtype, const void* x, const void* point, const void* previous,
                                   const void* gradient, const void* step_size, int64_t n, int64_t d,
                                   double epsilon, double momentum, void* next, void* stream) {
  return igd::cuda::run({"igd_apgd_step_linf_cuda", dtype, x, point, previous, gradient, step_size, n, d,
                         epsilon, momentum, next, stream},
                        true);
}

igd_status igd_apgd_step_l2_cuda(int dtype, const void* x, const void* point, const void* previous,
                                 const void* gradient, const void* step_size, int64_t n, int64_t d,
                                 double epsilon, double momentum, void* next, void* stream) {
  return igd::cuda::run({"igd_apgd_step_l2_cuda", dtype, x, point, previous, gradient, step_size, n, d,
                         epsilon, momentum, next, stream},
                        false);
}

}  // extern "C"
