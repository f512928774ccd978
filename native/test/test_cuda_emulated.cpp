// The CUDA launchers and kernel bodies, compiled for the CPU by cuda_emulation.h: the table of kernel_cases.h, and
// what only the emulation can show.
#include <cstdlib>
#include <new>

#include "cuda_emulation.h"
#include "igd/kernels_cuda.h"
#include "kernel_cases.h"
#include "test_support.h"

namespace igd_test {
namespace {

using namespace igd_emulation;

cudaStream_t stream_of(uintptr_t number) { return reinterpret_cast<cudaStream_t>(16 * number); }

// Every call is made once per launch with that launch failing, and then for good.
void call_with_failures(const std::string& what, const std::function<igd_status(void*)>& call) {
  static uintptr_t number = 0;
  const cudaStream_t stream = stream_of(number++ % 3);  // the default stream, too
  synchronize();
  for (int launches = 0;; ++launches) {
    fail_launch(launches);
    const igd_status status = call(stream);
    fail_launch(-1);
    if (status == IGD_OK) {
      expect(launches > 0 && pending() == launches,
             what + ": every launch is checked and on the given stream");
      expect(pending(stream) == launches, what + ": every launch is on the given stream");
      return;
    }
    const std::string message = igd_last_error_cuda();
    if (!expect(status == IGD_UNSUPPORTED && message.find("CUDA error 719") != std::string::npos,
                what + ": " + message)) {
      return;
    }
    expect(pending() == launches, what + ": nothing is started after an error");
    drop_pending();
  }
}

}  // namespace

Engine emulated_engine(bool with_failures) {
  return {"emulated cuda",
          true,
          [](size_t bytes) { return ::operator new(bytes, std::align_val_t(64)); },
          [](void* p) {
            synchronize();
            ::operator delete(p, std::align_val_t(64));
          },
          [](void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); },
          [](void* to, const void* from, size_t bytes) {
            synchronize();
            std::memcpy(to, from, bytes);
          },
          with_failures
              ? call_with_failures
              : [](const std::string& what,
                   const std::function<igd_status(void*)>&
                       call) { expect(call(nullptr) == IGD_OK, what + ": " + igd_last_error_cuda()); }};
}

namespace {

// Work on a stream waits, keeps its order, and streams do not wait for each other.
void streams() {
  const int64_t n = 2, c = 8, s = 4;
  std::vector<float> x(static_cast<size_t>(n * c * s), 1.0f), mask(static_cast<size_t>(n * c), 2.0f);
  std::vector<float> a(x.size(), -1), b(x.size(), -1);
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    set_seed(seed);
    a.assign(a.size(), -1);
    b.assign(b.size(), -1);
    const auto step = [&](const std::vector<float>& from, std::vector<float>* to, uintptr_t stream) {
      expect(igd_masked_activation_forward_cuda(IGD_FLOAT32, from.data(), nullptr, mask.data(), n, c, s, 0, 1,
                                                to->data(), stream_of(stream)) == IGD_OK,
             "a call on a stream");
    };
    step(x, &a, 1);
    step(x, &b, 2);
    for (int i = 0; i < 3; ++i) step(a, &a, 1), step(b, &b, 2);
    expect(a[0] == -1 && b[0] == -1 && pending() == 8, "calls return before the work is done");
    synchronize();
    expect(pending() == 0 && a == std::vector<float>(a.size(), 16) && b == a,
           "work on a stream keeps its order");
  }
}

void arguments() {
  expect(igd_cdir_score_workspace_cuda(IGD_FLOAT32, 0) == -1, "workspace of nothing");
  expect(std::string(igd_last_error_cuda()).find("n: expected") != std::string::npos, "and why");
  expect(igd_cdir_score_workspace_cuda(IGD_FLOAT32, int64_t(1) << 62) == -1, "workspace overflow");
  float x[16];
  int64_t one = 0;
  double sums[4];
  expect(igd_masked_head_forward_cuda(IGD_FLOAT32, nullptr, 1, 1, 1, 1, 1, 1, nullptr, nullptr, 1, nullptr,
                                      0.01, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                      nullptr) == IGD_INVALID_ARGUMENT,
         "null is refused");
  expect(igd_masked_head_forward_cuda(IGD_FLOAT32, x, 1, 1, 1, 1, 13000, 1, x, nullptr, 1, nullptr, 0.01,
                                      nullptr, x, nullptr, nullptr, nullptr, x, nullptr) == IGD_UNSUPPORTED,
         "a head beyond the shared memory is refused");
  expect(igd_masked_activation_forward_cuda(7, x, nullptr, nullptr, 1, 1, 1, 0, 0, x, nullptr) ==
             IGD_INVALID_ARGUMENT,
         "an unknown dtype is refused");
  expect(std::string(igd_last_error_cuda()).find("dtype: expected 0 (float32)") != std::string::npos,
         "and named");
  expect(
      igd_apgd_step_linf_cuda(IGD_FLOAT32, x, x, x, x, x, 1, 1, -1, 0.75, x, nullptr) == IGD_INVALID_ARGUMENT,
      "a negative epsilon is refused");
  expect(igd_loo_penultimate_accumulate_cuda(IGD_FLOAT32, x, 1, 1, 0, 1, 1, 1, &one, 1, 0, sums, &one, &one,
                                             nullptr) == IGD_INVALID_ARGUMENT,
         "a stride of 0 is refused");
  expect(igd_loo_ablate_convolution_cuda(IGD_FLOAT32, x, 1, 2, 2, 1, x, 1, 1, 1, nullptr, x, 1, 1, 0, 1, 0,
                                         &one, &one, 1, x, nullptr) == IGD_INVALID_ARGUMENT,
         "an output of the wrong size is refused");
  expect(igd_loo_differences_cuda(IGD_FLOAT32, x, 0, x, &one, 1, &one, 1, 0, sums, nullptr) ==
             IGD_INVALID_ARGUMENT,
         "no classes are refused");
  expect(pending() == 0, "refused calls start nothing");
}

void conversions() {
  for (int bits = 0; bits < 65536; ++bits) {
    const uint16_t h = static_cast<uint16_t>(bits);
    const float half = half_to_float(h), bfloat = igd_numbers::bfloat_to_float(h);
    if (half == half && float_to_half(half) != h) expect(false, "float16 bits " + std::to_string(bits));
    if (bfloat == bfloat && float_to_bfloat(bfloat) != h)
      expect(false, "bfloat16 bits " + std::to_string(bits));
    // Between two neighbours: to the nearer one, ties to even.
    if ((bits & 0x7fff) < 0x7bff) {
      const float next = half_to_float(static_cast<uint16_t>(bits + 1)), middle = 0.5f * (half + next);
      const int even = (bits & 1) == 0 ? bits : bits + 1;
      if (float_to_half(middle) != even || float_to_half(std::nextafterf(middle, half)) != h ||
          float_to_half(std::nextafterf(middle, next)) != bits + 1) {
        expect(false, "float16 rounding at bits " + std::to_string(bits));
      }
    }
  }
  expect(
      std::isinf(half_to_float(float_to_half(65520.0f))) && half_to_float(float_to_half(65519.0f)) == 65504,
      "float16 overflow");
}

}  // namespace

void test_cuda_emulated() {
  conversions();
  arguments();
  streams();
  // IGD_EMULATION_CASE: one operation only (for the planted faults).
  const char* only = std::getenv("IGD_EMULATION_CASE");
  std::vector<uint64_t> first, second;
  set_seed(1);
  run_kernel_cases(emulated_engine(true), false, only, &first);
  set_seed(20261122);
  run_kernel_cases(emulated_engine(false), false, only, &second);
  synchronize();
  expect(!first.empty() && first == second, "results do not depend on the order of blocks and threads");
  expect(global_races() == 0, "no two blocks of a launch touch a place that one of them writes");
}

void test_kernel_cases() { run_kernel_cases(cpu_engine(), true, nullptr, nullptr); }

}  // namespace igd_test
