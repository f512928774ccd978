// igd_bench_net_batch [--net resnet18|resnet18-16|wrn34-10|resnet50] [--products 6|1] [--batch N] [--threads T]
//               [--mode forward|gradient|ops] [--seconds S] [--size PIXELS] [--clock wall|cpu]
// Best and median time of compiled networks with random weights, per image, and the rate of multiplications.
// ops: time of each operation, as the difference of the passes that end before and behind it. cpu: time of the
// process's threads, which other processes disturb less. Not a test.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "igd/kernels.h"

namespace {

struct Layer {
  std::string name;
  int value;
  double products;  // multiplications per image
  double elements;  // read and written per image
};

struct Builder {
  igd_net* net = nullptr;
  int products;
  std::vector<int64_t> c, side;
  std::vector<Layer> layers;
  unsigned state = 1;

  Builder(int products_, int64_t size) : products(products_), c{3}, side{size} {
    if (igd_net_create(products, 3, size, size, nullptr, nullptr, &net) != IGD_OK) die();
  }
  [[noreturn]] static void die() {
    std::fprintf(stderr, "%s\n", igd_last_error());
    std::exit(2);
  }
  float random() {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
  }
  int add(int value, int64_t channels, int64_t pixels, const Layer& layer) {
    c.resize(static_cast<size_t>(value) + 1);
    side.resize(static_cast<size_t>(value) + 1);
    c.back() = channels;
    side.back() = pixels;
    layers.push_back(layer);
    layers.back().value = value;
    return value;
  }
  int conv(int in, int64_t out, int64_t kernel, int64_t stride, int residual, bool relu) {
    const int64_t channels = c[static_cast<size_t>(in)], from = side[static_cast<size_t>(in)];
    const int64_t to = (from + 2 * (kernel / 2) - kernel) / stride + 1;
    const float bound = std::sqrt(24.0f / static_cast<float>(channels * kernel * kernel));
    std::vector<float> weight(static_cast<size_t>(out * channels * kernel * kernel)), bias(static_cast<size_t>(out));
    for (float& w : weight) w = random() * bound * (residual >= 0 ? 0.3f : 1.0f);
    int value = -1;
    if (igd_net_conv(net, in, out, kernel, stride, kernel / 2, weight.data(), bias.data(), residual, relu, &value) !=
        IGD_OK) {
      die();
    }
    char name[64];
    std::snprintf(name, sizeof(name), "conv %dx%d/%d %4d->%4d %3dx%d%s", static_cast<int>(kernel),
                  static_cast<int>(kernel), static_cast<int>(stride), static_cast<int>(channels),
                  static_cast<int>(out), static_cast<int>(to), static_cast<int>(to), residual >= 0 ? " +" : "");
    return add(value, out, to,
               {name, 0, static_cast<double>(out * channels * kernel * kernel * to * to),
                static_cast<double>(channels * from * from + out * to * to * (residual >= 0 ? 2 : 1))});
  }
  int affine(int in) {
    const int64_t channels = c[static_cast<size_t>(in)], pixels = side[static_cast<size_t>(in)];
    std::vector<float> scale(static_cast<size_t>(channels), 0.9f), shift(static_cast<size_t>(channels), 0.01f);
    int value = -1;
    if (igd_net_affine(net, in, scale.data(), shift.data(), 1, &value) != IGD_OK) die();
    return add(value, channels, pixels,
               {"affine", 0, 0, static_cast<double>(2 * channels * pixels * pixels)});
  }
  int max_pool(int in) {
    const int64_t channels = c[static_cast<size_t>(in)], pixels = side[static_cast<size_t>(in)];
    const int64_t to = (pixels - 1) / 2 + 1;
    int value = -1;
    if (igd_net_max_pool(net, in, 3, 2, 1, &value) != IGD_OK) die();
    return add(value, channels, to,
               {"max pool", 0, 0, static_cast<double>(channels * (pixels * pixels + to * to))});
  }

  void resnet18(int64_t width) {
    int v = conv(0, width, 3, 1, -1, true);
    for (int stage = 0; stage < 4; ++stage) {
      for (int block = 0; block < 2; ++block) {
        const int64_t out = width << stage;
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const int hidden = conv(v, out, 3, stride, -1, true);
        const int shortcut = stride == 1 ? v : conv(v, out, 1, stride, -1, false);
        v = conv(hidden, out, 3, 1, shortcut, true);
      }
    }
  }
  void wide34() {
    int v = conv(0, 16, 3, 1, -1, false);
    for (int stage = 0; stage < 3; ++stage) {
      for (int block = 0; block < 5; ++block) {
        const int64_t out = 160 << stage;
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const int active = affine(v);
        const int hidden = conv(active, out, 3, stride, -1, true);
        const int shortcut = block > 0 ? v : conv(active, out, 1, stride, -1, false);
        v = conv(hidden, out, 3, 1, shortcut, false);
      }
    }
    affine(v);
  }
  void resnet50() {
    int v = max_pool(conv(0, 64, 7, 2, -1, true));
    const int counts[] = {3, 4, 6, 3};
    for (int stage = 0; stage < 4; ++stage) {
      for (int block = 0; block < counts[stage]; ++block) {
        const int64_t width = 64 << stage;
        const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
        const int a = conv(v, width, 1, 1, -1, true);
        const int b = conv(a, width, 3, stride, -1, true);
        const int shortcut = block > 0 ? v : conv(v, 4 * width, 1, stride, -1, false);
        v = conv(b, 4 * width, 1, 1, shortcut, true);
      }
    }
  }
};

struct Times {
  double best, median;
};

clockid_t sample_clock = CLOCK_MONOTONIC;

double now(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

template <typename F>
Times measure(double seconds, int at_least, const F& f) {
  f();
  std::vector<double> samples;
  const double start = now(CLOCK_MONOTONIC);
  while (static_cast<int>(samples.size()) < at_least || now(CLOCK_MONOTONIC) - start < seconds) {
    const double call = now(sample_clock);
    f();
    samples.push_back(now(sample_clock) - call);
  }
  std::sort(samples.begin(), samples.end());
  return {samples.front(), samples[samples.size() / 2]};
}

}  // namespace

int main(int argc, char** argv) {
  std::string which = "resnet18", mode = "forward";
  int products = 6, threads = 1;
  int64_t batch = 16, size = 0;
  double seconds = 2;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--net") which = argv[i + 1];
    if (option == "--mode") mode = argv[i + 1];
    if (option == "--products") products = std::atoi(argv[i + 1]);
    if (option == "--threads") threads = std::atoi(argv[i + 1]);
    if (option == "--batch") batch = std::atoi(argv[i + 1]);
    if (option == "--clock" && std::strcmp(argv[i + 1], "cpu") == 0) sample_clock = CLOCK_PROCESS_CPUTIME_ID;
    if (option == "--size") size = std::atoi(argv[i + 1]);
    if (option == "--seconds") seconds = std::atof(argv[i + 1]);
  }
  if (igd_threads_set(threads) != IGD_OK) Builder::die();
  if (size == 0) size = which == "resnet50" ? 224 : 32;
  Builder b(products, size);
  if (which == "resnet18") b.resnet18(64);
  if (which == "resnet18-16") b.resnet18(16);
  if (which == "wrn34-10") b.wide34();
  if (which == "resnet50") b.resnet50();
  if (b.layers.empty() || igd_net_seal(b.net) != IGD_OK) {
    std::fprintf(stderr, "unknown network %s\n", which.c_str());
    return 2;
  }
  std::vector<float> x(static_cast<size_t>(batch * 3 * size * size));
  for (float& f : x) f = b.random();
  std::vector<float> y, grad, gx(x.size());
  const auto forward = [&](int to, igd_tape** tape) {
    const size_t v = static_cast<size_t>(to);
    y.resize(static_cast<size_t>(batch * b.c[v] * b.side[v] * b.side[v]));
    if (igd_net_forward(b.net, 0, to, batch, x.data(), 3 * size * size, size * size, size, 1, y.data(), tape) != IGD_OK) {
      Builder::die();
    }
  };
  double total = 0;
  for (const Layer& layer : b.layers) total += layer.products;
  const double images = static_cast<double>(batch);
  const auto print = [&](const char* name, Times t, double work, double elements) {
    std::printf("%-32s best %8.3f ms/image  median %8.3f  %7.1f GMAC/s  x products %7.1f  %6.2f GB/s\n", name,
                t.best / images * 1e3, t.median / images * 1e3, work * images / t.best * 1e-9,
                work * images / t.best * 1e-9 * products,
                elements * images * (products == 6 ? 6 : products == 3 ? 4 : 2) / t.best * 1e-9);
  };
  std::printf("%s, products %d, batch %d, threads %d, %.3f GMAC an image\n", which.c_str(), products,
              static_cast<int>(batch), threads, total * 1e-9);
  const int last = b.layers.back().value;
  if (mode == "ops") {
    Times before = {0, 0};
    for (const Layer& layer : b.layers) {
      const Times t = measure(seconds / static_cast<double>(b.layers.size()), 5, [&] { forward(layer.value, nullptr); });
      print(layer.name.c_str(), {t.best - before.best, t.median - before.median}, layer.products, layer.elements);
      before = t;
    }
  } else {
    print("forward", measure(seconds, 5, [&] { forward(last, nullptr); }), total, 0);
    if (mode == "gradient") {
      grad.assign(y.size(), 0.01f);
      print("forward and gradient", measure(seconds, 5, [&] {
              igd_tape* tape = nullptr;
              forward(last, &tape);
              if (igd_net_backward(tape, grad.data(), gx.data(), 3 * size * size, size * size, size, 1) != IGD_OK) {
                Builder::die();
              }
              igd_tape_free(tape);
            }),
            2 * total, 0);
    }
  }
  igd_net_free(b.net);
  return 0;
}
