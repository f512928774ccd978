// Launchers of the masked activation. Compiled and emulated, not run on a GPU.
#include "masked_activation.cuh"

#include "launch.cuh"

namespace igd {
namespace cuda {
namespace {

struct Call {
  const char* function;
  int dtype;
  const void *grad, *x, *residual, *mask;
  int64_t n, c, s;
  bool channels_last, relu;
  void *out, *grad_mask;
  void* stream;
};

bool valid(const Call& k, bool backward) {
  const Checks check(k.function);
  if (!known_dtype(k.function, k.dtype)) return false;
  const int64_t bytes = bytes_of(k.dtype), accumulator = accumulator_bytes_of(k.dtype);
  return check.size("n", k.n) && check.size("c", k.c) && check.size("s", k.s) &&
         check.product("x [N,C]", k.n, k.c, 8) && check.product("x [N,C,S]", k.n * k.c, k.s, bytes) &&
         (!backward || check.pointer("grad_out", k.grad, bytes)) && check.pointer("x", k.x, bytes) &&
         check.optional_pointer("residual", k.residual, bytes) &&
         check.optional_pointer("mask", k.mask, accumulator) &&
         check.pointer(backward ? "grad_in" : "out", k.out, bytes) &&
         check.optional_pointer("grad_mask", k.grad_mask, accumulator);
}

template <typename T, int V>
void start_with_sums(Launches* launches, const Call& call, const MaskedActivation<T>& k) {
  if (call.channels_last) {
    const int64_t tiles = blocks_for(call.c, kColumnLanes<V> * V);
    launches->start("masked_activation_columns", masked_activation_columns<T, V>, call.n * tiles, 0, k,
                    static_cast<int>(tiles));
  } else {
    int width = 1;
    while (width < kWarp && width * V < call.s) width *= 2;
    launches->start("masked_activation_rows", masked_activation_rows<T, V>,
                    blocks_for(call.n * call.c, kThreads / width), 0, k, width);
  }
}

template <bool kBackward>
igd_status run(const Call& call) {
  if (!valid(call, kBackward)) return IGD_INVALID_ARGUMENT;
  return for_dtype(call.dtype, [&](auto zero) {
    typedef decltype(zero) T;
    constexpr int V = kVector<T>;
    const MaskedActivation<T> k = {static_cast<const T*>(call.grad),
                                   static_cast<const T*>(call.x),
                                   static_cast<const T*>(call.residual),
                                   static_cast<const Acc<T>*>(call.mask),
                                   call.c,
                                   call.s,
                                   call.n * call.c * call.s,
                                   call.channels_last,
                                   call.relu,
                                   static_cast<T*>(call.out),
                                   static_cast<Acc<T>*>(call.grad_mask)};
    const bool vectors =
        aligned16(call.grad) && aligned16(call.x) && aligned16(call.residual) && aligned16(call.out);
    Launches launches(call.function, call.stream);
    if (kBackward && call.grad_mask != nullptr) {
      const bool whole = (call.channels_last ? call.c : call.s) % V == 0;
      if (vectors && whole && aligned16(call.mask)) {
        start_with_sums<T, V>(&launches, call, k);
      } else {
        start_with_sums<T, 1>(&launches, call, k);
      }
    } else if (vectors) {
      launches.start("masked_activation", masked_activation<T, kBackward, V>,
                     blocks_for(k.total, kThreads * V), 0, k);
    } else {
      launches.start("masked_activation", masked_activation<T, kBackward, 1>, blocks_for(k.total, kThreads),
                     0, k);
    }
    return launches.status();
  });
}

}  // namespace
}  // namespace cuda
}  // namespace igd

extern "C" {

igd_status igd_masked_activation_forward_cuda(int dtype, const void* x, const void* residual,
                                              const void* mask, int64_t n, int64_t c, int64_t s,
                                              int channels_last, int relu, void* out, void* stream) {
  return igd::cuda::run<false>({"igd_masked_activation_forward_cuda", dtype, nullptr, x, residual, mask, n, c,
                                s, channels_last != 0, relu != 0, out, nullptr, stream});
}

igd_status igd_masked_activation_backward_cuda(int dtype, const void* grad_out, const void* x,
                                               const void* residual, const void* mask, int64_t n, int64_t c,
                                               int64_t s, int channels_last, int relu, void* grad_in,
                                               void* grad_mask, void* stream) {
  return igd::cuda::run<true>({"igd_masked_activation_backward_cuda", dtype, grad_out, x, residual, mask, n,
                               c, s, channels_last != 0, relu != 0, grad_in, grad_mask, stream});
}

}  // extern "C"
