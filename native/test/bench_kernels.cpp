// igd_bench_kernels [THREADS]: best and median time of the kernels at the sizes of a CIFAR ResNet-18 head,
// with the rate at which activations are read or written. Not a test: run it on a quiet machine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "igd/kernels.h"

namespace {

// Seconds per call, several calls per sample; best and median of the samples.
template <typename F>
void measure(const char* name, double bytes, const F& f) {
  typedef std::chrono::steady_clock Clock;
  const auto time = [&](int calls) {
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < calls; ++i) f();
    return std::chrono::duration<double>(Clock::now() - start).count() / calls;
  };
  time(20);
  const int calls = std::max(1, static_cast<int>(2e-3 / std::max(1e-7, time(20))));
  std::vector<double> samples(25);
  for (double& sample : samples) sample = time(calls);
  std::sort(samples.begin(), samples.end());
  std::printf("%-44s %-9s best %9.2f us  median %9.2f us  %7.2f GB/s\n", name, igd_isa_name(igd_isa_active()),
              samples.front() * 1e6, samples[samples.size() / 2] * 1e6, bytes / samples.front() * 1e-9);
}

void run(int64_t n, int64_t u, int64_t s, int64_t k, bool channels_last) {
  std::vector<float> a(static_cast<size_t>(n * u * s)), grad(a.size()), weight(static_cast<size_t>(k * u)),
      bias(static_cast<size_t>(k)), pooled(static_cast<size_t>(n * u)), y(static_cast<size_t>(n * k)),
      logits(static_cast<size_t>(n * k)), g(static_cast<size_t>(n * k), 0.1f);
  unsigned state = 1;
  const auto random = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 8) / 16777216.0f;
  };
  for (float& x : a) x = random();
  for (float& x : weight) x = random() - 0.5f;
  std::vector<uint8_t> masks(static_cast<size_t>(k * u));
  for (size_t i = 0; i < masks.size(); ++i) masks[i] = random() < 0.1f;
  std::vector<int64_t> labels(static_cast<size_t>(n)), counts(static_cast<size_t>(k));
  for (int64_t i = 0; i < n; ++i) labels[static_cast<size_t>(i)] = i % k;
  std::vector<double> sums(static_cast<size_t>(k * u));
  const int64_t stride_u = channels_last ? 1 : s, stride_s = channels_last ? u : 1;
  const double bytes = static_cast<double>(a.size()) * sizeof(float);
  char name[96];
  const auto label = [&](const char* what) {
    std::snprintf(name, sizeof(name), "%s N=%d U=%d S=%d K=%d%s", what, static_cast<int>(n),
                  static_cast<int>(u), static_cast<int>(s), static_cast<int>(k),
                  channels_last ? " nhwc" : "");
    return name;
  };
  measure(label("loo accumulate"), bytes, [&] {
    igd_loo_penultimate_accumulate(IGD_FLOAT32, a.data(), u * s, stride_u, stride_s, n, u, s, labels.data(),
                                   k, 0, sums.data(), counts.data());
  });
  measure(label("head forward"), bytes, [&] {
    igd_masked_head_forward(IGD_FLOAT32, a.data(), u * s, stride_u, stride_s, n, u, s, weight.data(),
                            bias.data(), k, masks.data(), 0.01, nullptr, pooled.data(), nullptr, y.data(),
                            nullptr, logits.data());
  });
  measure(label("head backward"), bytes, [&] {
    igd_masked_head_backward(IGD_FLOAT32, g.data(), pooled.data(), y.data(), nullptr, weight.data(),
                             masks.data(), 0.01, n, u, s, k, 1, grad.data(), u * s, stride_u, stride_s,
                             nullptr);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && igd_threads_set(std::atoi(argv[1])) != IGD_OK) {
    std::fprintf(stderr, "%s\n", igd_last_error());
    return 2;
  }
  std::printf("%s, %d threads\n", igd_build_info(), igd_threads_get());
  for (int isa = igd_isa_detected(); isa >= 0; --isa) {
    igd_isa_force(isa);
    run(1, 512, 16, 10, false);
    run(1, 512, 16, 10, true);
    run(64, 512, 16, 10, false);
    run(64, 512, 16, 10, true);
    if (isa == igd_isa_detected()) {
      run(1, 2048, 49, 1000, false);
      run(64, 2048, 49, 1000, false);
    }
  }
  return 0;
}
