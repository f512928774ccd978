// igd_bench_net [-m rn18|wrn34|rn50] [-p PRODUCTS] [-t THREADS] [-n IMAGES] [-r ROUNDS] [-o]: latency of a compiled network on
// few images; with -o also of each operation, as the difference of two passes that end one operation apart. Between
// two calls the second-level cache is swept, as in a program that does something else as well.
// Not a test: run it on a quiet machine.
#include <unistd.h>

#include <algorithm>
#include <chrono>
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
  int64_t c, h, w;
  double macs, weights;
};

float random_float() {
  static unsigned state = 1;
  state = state * 1664525u + 1013904223u;
  return static_cast<float>(state >> 8) / 16777216.0f - 0.5f;
}

// Builds a network with random weights and remembers its layers.
class Network {
 public:
  Network(int products, int64_t side) : side_(side) {
    layers_.push_back({"input", 0, 3, side, side, 0, 0});
    check(igd_net_create(products, 3, side, side, nullptr, nullptr, &net_));
  }
  ~Network() { igd_net_free(net_); }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // `in`, `residual` and the result are indices of layers.
  int conv(int in, int64_t out, int64_t kernel, int64_t stride, int residual, bool relu) {
    const Layer from = layers_[static_cast<size_t>(in)];
    std::vector<float> weight(static_cast<size_t>(out * from.c * kernel * kernel));
    const float scale = 3.0f / static_cast<float>(from.c * kernel);
    for (float& x : weight) x = random_float() * scale;
    const std::vector<float> bias(static_cast<size_t>(out), 0.1f);
    Layer to = {std::to_string(from.c) + "->" + std::to_string(out) + " " + std::to_string(kernel) + "x" +
                    std::to_string(kernel) + "/" + std::to_string(stride) + " @" + std::to_string(from.h),
                0, out, (from.h + kernel / 2 * 2 - kernel) / stride + 1,
                (from.w + kernel / 2 * 2 - kernel) / stride + 1, 0, static_cast<double>(weight.size())};
    to.macs = to.weights * static_cast<double>(to.h * to.w);
    check(igd_net_conv(net_, from.value, out, kernel, stride, kernel / 2, weight.data(), bias.data(),
                       residual < 0 ? -1 : layers_[static_cast<size_t>(residual)].value, relu, &to.value));
    return add(to);
  }
  int affine(int in) {
    Layer to = layers_[static_cast<size_t>(in)];
    const std::vector<float> ones(static_cast<size_t>(to.c), 1.0f);
    check(igd_net_affine(net_, to.value, ones.data(), ones.data(), 1, &to.value));
    to.name = "affine @" + std::to_string(to.h);
    to.macs = to.weights = 0;
    return add(to);
  }
  int max_pool(int in) {
    Layer to = layers_[static_cast<size_t>(in)];
    check(igd_net_max_pool(net_, to.value, 3, 2, 1, &to.value));
    to.name = "max pool @" + std::to_string(to.h);
    to.h = (to.h - 1) / 2 + 1;
    to.w = (to.w - 1) / 2 + 1;
    to.macs = to.weights = 0;
    return add(to);
  }
  void seal() { check(igd_net_seal(net_)); }
  const std::vector<Layer>& layers() const { return layers_; }
  int64_t channels(int layer) const { return layers_[static_cast<size_t>(layer)].c; }
  void forward(size_t layer, int64_t n, const float* x, float* y) const {
    check(igd_net_forward(net_, 0, layers_[layer].value, n, x, 3 * side_ * side_, side_ * side_, side_, 1, y,
                          nullptr));
  }

 private:
  static void check(igd_status status) {
    if (status == IGD_OK) return;
    std::fprintf(stderr, "%s\n", igd_last_error());
    std::exit(2);
  }
  int add(const Layer& layer) {
    layers_.push_back(layer);
    return static_cast<int>(layers_.size()) - 1;
  }
  int64_t side_;
  igd_net* net_ = nullptr;
  std::vector<Layer> layers_;
};

void rn18(Network& net) {
  int v = net.conv(0, 64, 3, 1, -1, true);
  for (int64_t out : {64, 128, 256, 512}) {
    for (int i = 0; i < 2; ++i) {
      const int64_t stride = out > 64 && i == 0 ? 2 : 1;
      const int hidden = net.conv(v, out, 3, stride, -1, true);
      const int shortcut = stride == 1 ? v : net.conv(v, out, 1, stride, -1, false);
      v = net.conv(hidden, out, 3, 1, shortcut, true);
    }
  }
}

void wrn34(Network& net) {
  int v = net.conv(0, 16, 3, 1, -1, false);
  for (int64_t out : {160, 320, 640}) {
    for (int i = 0; i < 5; ++i) {
      const int64_t stride = out > 160 && i == 0 ? 2 : 1;
      const int active = net.affine(v);
      const int hidden = net.conv(active, out, 3, stride, -1, true);
      const int shortcut = i > 0 ? v : net.conv(active, out, 1, stride, -1, false);
      v = net.conv(hidden, out, 3, 1, shortcut, false);
    }
  }
  net.affine(v);
}

void rn50(Network& net) {
  int v = net.max_pool(net.conv(0, 64, 7, 2, -1, true));
  const int depth[4] = {3, 4, 6, 3};
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int i = 0; i < depth[stage]; ++i) {
      const int64_t stride = stage > 0 && i == 0 ? 2 : 1;
      const int first = net.conv(v, width, 1, 1, -1, true);
      const int second = net.conv(first, width, 3, stride, -1, true);
      const int shortcut = i > 0 ? v : net.conv(v, 4 * width, 1, stride, -1, false);
      v = net.conv(second, 4 * width, 1, 1, shortcut, true);
    }
  }
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct Times {
  std::vector<double> seconds;
  double best() { return at(0); }
  double median() { return at(seconds.size() / 2); }
  double at(size_t i) {
    std::sort(seconds.begin(), seconds.end());
    return seconds[i];
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::string model = "rn18";
  int products = 6, threads = 1, rounds = 100, option;
  int64_t n = 1;
  bool each = false;
  while ((option = getopt(argc, argv, "m:p:t:n:r:o")) != -1) {
    switch (option) {
      case 'm': model = optarg; break;
      case 'p': products = std::atoi(optarg); break;
      case 't': threads = std::atoi(optarg); break;
      case 'n': n = std::atoi(optarg); break;
      case 'r': rounds = std::max(1, std::atoi(optarg)); break;
      case 'o': each = true; break;
      default: return 2;
    }
  }
  if (igd_threads_set(threads) != IGD_OK || (model != "rn18" && model != "wrn34" && model != "rn50")) {
    std::fprintf(stderr, "usage: %s [-m rn18|wrn34|rn50] [-p 1|3|6] [-t threads] [-n images] [-r rounds] [-o]\n",
                 argv[0]);
    return 2;
  }
  const int64_t side = model == "rn50" ? 224 : 32;
  Network net(products, side);
  (model == "rn18" ? rn18 : model == "wrn34" ? wrn34 : rn50)(net);
  net.seal();
  const std::vector<Layer>& layers = net.layers();
  std::vector<float> x(static_cast<size_t>(n * 3 * side * side));
  for (float& v : x) v = random_float();
  int64_t largest = 0;
  double macs = 0, weights = 0;
  for (const Layer& layer : layers) {
    largest = std::max(largest, n * layer.c * layer.h * layer.w);
    macs += layer.macs;
    weights += layer.weights;
  }
  std::vector<float> y(static_cast<size_t>(largest));
  std::vector<char> sweep(size_t{4} << 20, 1);
  std::vector<Times> times(layers.size());
  volatile int sink = 0;
  net.forward(layers.size() - 1, n, x.data(), y.data());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = each ? 1 : layers.size() - 1; i < layers.size(); ++i) {
      int sum = 0;
      for (size_t k = 0; k < sweep.size(); k += 64) sum += sweep[k];
      sink = sum;
      const double start = now();
      net.forward(i, n, x.data(), y.data());
      times[i].seconds.push_back(now() - start);
    }
  }
  (void)sink;
  double checksum = 0;
  for (float v : y) checksum += static_cast<double>(v);
  if (each) {
    double before = 0;
    for (size_t i = 1; i < layers.size(); ++i) {
      const double t = times[i].best() - before;
      before = times[i].best();
      std::printf("%-28s %8.1f us  %7.1f GMAC/s  %6.1f GB/s of float32 weights\n", layers[i].name.c_str(), t * 1e6,
                  static_cast<double>(n) * layers[i].macs / t * 1e-9, layers[i].weights * 4 / t * 1e-9);
    }
  }
  Times& all = times.back();
  std::printf("%s, %d products, %d threads, %d images: best %.2f ms, first tenth %.2f ms, median %.2f ms; best %.1f "
              "GMAC/s, %.1f GB/s of float32 weights; checksum %.9g\n",
              model.c_str(), products, threads, static_cast<int>(n), all.best() * 1e3,
              all.at(all.seconds.size() / 10) * 1e3, all.median() * 1e3,
              static_cast<double>(n) * macs / all.best() * 1e-9, weights * 4 / all.best() * 1e-9, checksum);
  return 0;
}
