// Compiled networks against a plain float64 implementation, forward and backward, and against themselves: an
// image's values must not depend on the batch, the layout or the threads.
#include <algorithm>
#include <map>
#include <memory>

#include "test_support.h"

namespace igd_test {
namespace {

enum class Kind { kConv, kAffine, kMaxPool };

struct Op {
  Kind kind;
  int in, residual;
  int64_t out_channels, kernel, stride, padding;
  bool relu;
  std::vector<float> weight, bias;
};

struct Shape {
  int64_t c, h, w;
  int64_t size() const { return c * h * w; }
};

// A network described once, run by the library and by plain loops.
struct Model {
  std::vector<Shape> shapes;
  std::vector<Op> ops;  // op i makes value i + 1
  std::vector<float> scale, shift;
  Random random{5};

  explicit Model(Shape input) : shapes{input} {}

  int conv(int in, int64_t out, int64_t kernel, int64_t stride, int residual, bool relu) {
    const Shape s = shapes[static_cast<size_t>(in)];
    const int64_t padding = kernel / 2;
    const double bound = std::sqrt(6.0 / static_cast<double>(s.c * kernel * kernel));
    ops.push_back({Kind::kConv, in, residual, out, kernel, stride, padding, relu,
                   random.vector<float>(out * s.c * kernel * kernel, -bound, bound),
                   random.vector<float>(out, -0.2, 0.2)});
    shapes.push_back({out, (s.h + 2 * padding - kernel) / stride + 1, (s.w + 2 * padding - kernel) / stride + 1});
    return static_cast<int>(ops.size());
  }
  int affine(int in, bool relu) {
    const Shape s = shapes[static_cast<size_t>(in)];
    ops.push_back({Kind::kAffine, in, -1, s.c, 1, 1, 0, relu, random.vector<float>(s.c, 0.5, 1.5),
                   random.vector<float>(s.c, -0.5, 0.5)});
    shapes.push_back(s);
    return static_cast<int>(ops.size());
  }
  int max_pool(int in) {
    const Shape s = shapes[static_cast<size_t>(in)];
    ops.push_back({Kind::kMaxPool, in, -1, s.c, 3, 2, 1, false, {}, {}});
    shapes.push_back({s.c, (s.h - 1) / 2 + 1, (s.w - 1) / 2 + 1});
    return static_cast<int>(ops.size());
  }
  int block(int in, int64_t out, int64_t stride) {
    const int hidden = conv(in, out, 3, stride, -1, true);
    const bool same = stride == 1 && shapes[static_cast<size_t>(in)].c == out;
    const int shortcut = same ? in : conv(in, out, 1, stride, -1, false);
    return conv(hidden, out, 3, 1, shortcut, true);
  }
};

typedef std::vector<double> Doubles;

double at(const Doubles& v, const Shape& s, int64_t c, int64_t y, int64_t x) {
  return v[static_cast<size_t>((c * s.h + y) * s.w + x)];
}

// All values of one image, from value `from` on.
std::vector<Doubles> run(const Model& m, const Doubles& x, int from = 0) {
  std::vector<Doubles> values(m.shapes.size());
  values[static_cast<size_t>(from)] = x;
  if (from == 0 && !m.scale.empty()) {
    const Shape s = m.shapes[0];
    for (int64_t i = 0; i < s.size(); ++i) {
      const size_t c = static_cast<size_t>(i / (s.h * s.w));
      double& v = values[0][static_cast<size_t>(i)];
      v = v * m.scale[c] + m.shift[c];
    }
  }
  for (size_t i = static_cast<size_t>(from); i < m.ops.size(); ++i) {
    const Op& op = m.ops[i];
    const Shape in = m.shapes[static_cast<size_t>(op.in)], out = m.shapes[i + 1];
    const Doubles& source = values[static_cast<size_t>(op.in)];
    if (source.empty()) continue;
    Doubles& to = values[i + 1];
    to.resize(static_cast<size_t>(out.size()));
    for (int64_t o = 0; o < out.c; ++o) {
      for (int64_t y = 0; y < out.h; ++y) {
        for (int64_t xx = 0; xx < out.w; ++xx) {
          double sum = op.kind == Kind::kMaxPool ? -1e300 : 0;
          if (op.kind == Kind::kAffine) {
            sum = at(source, in, o, y, xx) * op.weight[static_cast<size_t>(o)] + op.bias[static_cast<size_t>(o)];
          } else {
            const int64_t c0 = op.kind == Kind::kConv ? 0 : o, c1 = op.kind == Kind::kConv ? in.c : o + 1;
            for (int64_t c = c0; c < c1; ++c) {
              for (int64_t t = 0; t < op.kernel * op.kernel; ++t) {
                const int64_t sy = y * op.stride - op.padding + t / op.kernel;
                const int64_t sx = xx * op.stride - op.padding + t % op.kernel;
                if (sy < 0 || sy >= in.h || sx < 0 || sx >= in.w) continue;
                const double v = at(source, in, c, sy, sx);
                if (op.kind == Kind::kMaxPool) {
                  sum = std::max(sum, v);
                } else {
                  sum += v * op.weight[static_cast<size_t>((o * in.c + c) * op.kernel * op.kernel + t)];
                }
              }
            }
            if (op.kind == Kind::kConv) sum += op.bias[static_cast<size_t>(o)];
          }
          if (op.residual >= 0) sum += at(values[static_cast<size_t>(op.residual)], out, o, y, xx);
          to[static_cast<size_t>((o * out.h + y) * out.w + xx)] = op.relu ? std::max(0.0, sum) : sum;
        }
      }
    }
  }
  return values;
}

// The gradient with respect to value `from` of sum(grad * last value).
Doubles gradient(const Model& m, const std::vector<Doubles>& values, const Doubles& grad, int from = 0) {
  std::vector<Doubles> g(m.shapes.size());
  for (size_t v = 0; v < g.size(); ++v) g[v].assign(static_cast<size_t>(m.shapes[v].size()), 0.0);
  g.back() = grad;
  for (size_t i = m.ops.size(); i-- > static_cast<size_t>(from);) {
    const Op& op = m.ops[i];
    const Shape in = m.shapes[static_cast<size_t>(op.in)], out = m.shapes[i + 1];
    for (int64_t o = 0; o < out.c; ++o) {
      for (int64_t y = 0; y < out.h; ++y) {
        for (int64_t x = 0; x < out.w; ++x) {
          const size_t here = static_cast<size_t>((o * out.h + y) * out.w + x);
          double d = g[i + 1][here];
          if (op.relu && !(values[i + 1][here] > 0)) d = 0;
          if (op.residual >= 0) g[static_cast<size_t>(op.residual)][here] += d;
          if (op.kind == Kind::kAffine) {
            g[static_cast<size_t>(op.in)][here] += d * op.weight[static_cast<size_t>(o)];
            continue;
          }
          const int64_t c0 = op.kind == Kind::kConv ? 0 : o, c1 = op.kind == Kind::kConv ? in.c : o + 1;
          bool taken = false;
          for (int64_t c = c0; c < c1; ++c) {
            for (int64_t t = 0; t < op.kernel * op.kernel; ++t) {
              const int64_t sy = y * op.stride - op.padding + t / op.kernel;
              const int64_t sx = x * op.stride - op.padding + t % op.kernel;
              if (sy < 0 || sy >= in.h || sx < 0 || sx >= in.w) continue;
              const size_t to = static_cast<size_t>((c * in.h + sy) * in.w + sx);
              if (op.kind == Kind::kConv) {
                g[static_cast<size_t>(op.in)][to] +=
                    d * op.weight[static_cast<size_t>((o * in.c + c) * op.kernel * op.kernel + t)];
              } else if (!taken && values[static_cast<size_t>(op.in)][to] == values[i + 1][here]) {
                g[static_cast<size_t>(op.in)][to] += d;
                taken = true;
              }
            }
          }
        }
      }
    }
  }
  if (from == 0 && !m.scale.empty()) {
    const Shape s = m.shapes[0];
    for (int64_t i = 0; i < s.size(); ++i) {
      g[0][static_cast<size_t>(i)] *= m.scale[static_cast<size_t>(i / (s.h * s.w))];
    }
  }
  return g[static_cast<size_t>(from)];
}

struct NetDeleter {
  void operator()(igd_net* net) const { igd_net_free(net); }
};
typedef std::unique_ptr<igd_net, NetDeleter> Net;
struct TapeDeleter {
  void operator()(igd_tape* tape) const { igd_tape_free(tape); }
};
typedef std::unique_ptr<igd_tape, TapeDeleter> Tape;

struct Built {
  Net net;
  std::vector<int> values;  // of the library, by value of the model
};

Built build(const Model& m, int products) {
  Built b;
  igd_net* net = nullptr;
  expect_status(igd_net_create(products, m.shapes[0].c, m.shapes[0].h, m.shapes[0].w,
                               m.scale.empty() ? nullptr : m.scale.data(),
                               m.shift.empty() ? nullptr : m.shift.data(), &net),
                IGD_OK, "create");
  b.net.reset(net);
  b.values.push_back(0);
  for (const Op& op : m.ops) {
    int value = -1;
    const int in = b.values[static_cast<size_t>(op.in)];
    igd_status status = IGD_OK;
    if (op.kind == Kind::kConv) {
      status = igd_net_conv(net, in, op.out_channels, op.kernel, op.stride, op.padding, op.weight.data(),
                            op.bias.data(), op.residual < 0 ? -1 : b.values[static_cast<size_t>(op.residual)],
                            op.relu, &value);
    } else if (op.kind == Kind::kAffine) {
      status = igd_net_affine(net, in, op.weight.data(), op.bias.data(), op.relu, &value);
    } else {
      status = igd_net_max_pool(net, in, op.kernel, op.stride, op.padding, &value);
    }
    expect_status(status, IGD_OK, "operation");
    b.values.push_back(value);
  }
  expect_status(igd_net_seal(net), IGD_OK, "seal");
  return b;
}

double relative(const Doubles& expected, const Doubles& got) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(error / std::max(norm, 1e-30));
}

// [H,W,C] floats to [C,H,W] doubles.
Doubles planar(const float* y, const Shape& s) {
  Doubles d(static_cast<size_t>(s.size()));
  for (int64_t c = 0; c < s.c; ++c) {
    for (int64_t i = 0; i < s.h * s.w; ++i) {
      d[static_cast<size_t>(c * s.h * s.w + i)] = y[i * s.c + c];
    }
  }
  return d;
}

void check(const std::string& name, Model m, std::vector<int64_t> counts, int from = 0) {
  const Shape input = m.shapes[static_cast<size_t>(from)], output = m.shapes.back();
  const int64_t most = *std::max_element(counts.begin(), counts.end());
  Random random(11);
  const std::vector<float> x = random.vector<float>(most * input.size(), from == 0 ? 0 : -1, 1);
  const std::vector<float> grad = random.vector<float>(most * output.size(), -1, 1);
  std::map<int64_t, Doubles> expected_values, expected_gradients;  // by image, whatever the engine's arithmetic
  for (int products : {6, 3, 1}) {
    const Built b = build(m, products);
    const int to = b.values.back(), source = b.values[static_cast<size_t>(from)];
    // Every layer rounds once; gradients also where an activation lies so near 0 that its sign differs.
    const double bound = products == 6 ? 3e-6 : products == 3 ? 3e-5 : 2e-2;
    const double gradient_bound = products == 6 ? 1e-3 : products == 3 ? 2e-3 : 4e-1;
    std::vector<float> first, first_gradient;
    for (int64_t n : counts) {
      const std::string what = name + " products " + std::to_string(products) + " n " + std::to_string(n);
      std::vector<float> y(static_cast<size_t>(n * output.size()), NAN);
      expect_status(igd_net_forward(b.net.get(), source, to, n, x.data(), input.size(), input.h * input.w, input.w, 1,
                                    y.data(), nullptr),
                    IGD_OK, what);
      std::vector<float> taped(y.size(), NAN);
      igd_tape* raw = nullptr;
      expect_status(igd_net_forward(b.net.get(), source, to, n, x.data(), input.size(), input.h * input.w, input.w, 1,
                                    taped.data(), &raw),
                    IGD_OK, what + " with tape");
      const Tape tape(raw);
      expect(std::memcmp(y.data(), taped.data(), y.size() * sizeof(float)) == 0, what + ": tape changes nothing");
      std::vector<float> gx(static_cast<size_t>(n * input.size()), NAN);
      expect_status(igd_net_backward(tape.get(), grad.data(), gx.data(), input.size(), input.h * input.w, input.w, 1),
                    IGD_OK, what + " backward");
      if (first.empty()) {
        first.assign(y.begin(), y.begin() + output.size());
        first_gradient.assign(gx.begin(), gx.begin() + input.size());
      }
      expect(std::memcmp(first.data(), y.data(), first.size() * sizeof(float)) == 0,
             what + ": image 0 does not depend on the batch");
      expect(std::memcmp(first_gradient.data(), gx.data(), first_gradient.size() * sizeof(float)) == 0,
             what + ": its gradient does not depend on the batch");
      for (int64_t i : {int64_t{0}, n / 2, n - 1}) {
        if (expected_values.count(i) == 0) {
          const Doubles image(x.begin() + i * input.size(), x.begin() + (i + 1) * input.size());
          const std::vector<Doubles> values = run(m, image, from);
          expected_values[i] = values.back();
          expected_gradients[i] = gradient(m, values, planar(grad.data() + i * output.size(), output), from);
        }
        const double error = relative(expected_values[i], planar(y.data() + i * output.size(), output));
        expect(error < bound, what + " image " + std::to_string(i) + ": relative error " + std::to_string(error));
        const Doubles& expected = expected_gradients[i];
        const Doubles got(gx.begin() + i * input.size(), gx.begin() + (i + 1) * input.size());
        const double off = relative(expected, got);
        expect(off < gradient_bound,
               what + " image " + std::to_string(i) + ": gradient's relative error " + std::to_string(off));
      }
    }
  }
}

Model resnet(int64_t width, int64_t size) {
  Model m({3, size, size});
  int v = m.conv(0, width, 3, 1, -1, true);
  v = m.block(v, width, 1);
  v = m.block(v, 2 * width, 2);
  v = m.block(v, 2 * width, 1);
  m.block(v, 4 * width, 2);
  return m;
}

void shapes(bool all) {
  for (int64_t c : {1, 15, 16, 17, 32, 33, 64}) {
    for (int64_t size : {1, 3, 4, 7, 16, 17}) {
      if (size > 15 && c > 17) continue;
      if (!all && (c % 16 != 1 || size > 4)) continue;
      for (int64_t stride : {1, 2}) {
        Model m({c, size, size});
        const int v = m.conv(0, 20, 3, stride, -1, true);
        m.conv(v, c == 64 ? 48 : 9, c % 2 == 0 ? 1 : 3, 1, -1, false);
        check("shape c " + std::to_string(c) + " size " + std::to_string(size) + " stride " + std::to_string(stride),
              m, {1, 3, 17});
      }
    }
  }
}

void networks(bool all) {
  check("resnet 16", resnet(16, 8), {1, 2, 6, 7, 16, 17, 35});
  if (all) check("resnet 8, odd size", resnet(8, 13), {1, 7, 16});
  if (all) {
    // Small maps of many channels: copied for dense tiles, one tile by two output blocks, and blocks of 16.
    Model m({3, 8, 8});
    int v = m.conv(0, 64, 3, 1, -1, true);
    v = m.conv(v, 144, 3, 1, -1, true);
    v = m.block(v, 128, 2);
    m.conv(v, 192, 1, 1, -1, true);
    check("many channels", m, {1, 3, 16});
  }
  if (all) {
    Model m = resnet(16, 32);
    m.scale = {4, 3, 5};
    m.shift = {-2, -1.5f, -2.5f};
    check("resnet 16, full size, normalised", m, {1, 9});
  }
  {
    Model m({3, 33, 33});  // a large first kernel, pooling, a bottleneck
    int v = m.conv(0, 24, 7, 2, -1, true);
    v = m.max_pool(v);
    const int a = m.conv(v, 16, 1, 1, -1, true);
    const int c = m.conv(a, 16, 3, 2, -1, true);
    const int shortcut = m.conv(v, 40, 1, 2, -1, false);
    m.conv(c, 40, 1, 1, shortcut, true);
    check("bottleneck", m, {1, 5, 18});
  }
  {
    Model m({3, 8, 8});  // pre-activation: the sum goes on, its activation feeds the convolutions
    int v = m.conv(0, 16, 3, 1, -1, false);
    for (int64_t out : {32, 32}) {
      const int active = m.affine(v, true);
      const int hidden = m.conv(active, out, 3, out == 32 && v == 1 ? 2 : 1, -1, true);
      const int shortcut = v == 1 ? m.conv(active, out, 1, 2, -1, false) : v;
      v = m.conv(hidden, out, 3, 1, shortcut, false);
    }
    m.affine(v, true);
    check("pre-activation", m, {1, 4, 16, 20});
  }
  check("suffix", resnet(16, 8), {1, 16, 19}, 3);  // from the first block's output on
}

// Maps of up to 16 channels are held as pairs of pixels where width and neighbours allow it.
void narrow(bool all) {
  {
    Model m({3, 5, 12});  // pairs on both sides of every kind of convolution, down to one pair and to odd widths
    int v = m.conv(0, 16, 3, 1, -1, true);
    v = m.conv(v, 12, 1, 1, -1, false);
    const int wide = m.conv(v, 32, 3, 2, -1, true);
    v = m.conv(wide, 9, 3, 1, -1, true);  // 3 x 6, from 32 channels
    v = m.conv(v, 16, 3, 1, -1, true);
    v = m.conv(v, 16, 3, 2, -1, true);  // 2 x 3
    m.conv(v, 5, 1, 1, -1, false);
    check("pairs, 5 x 12", m, {1, 6, 7, 16, 19});
  }
  {
    Model m({16, 6, 8});  // a paired input; strides between pairs; a block of pre-activation
    int v = m.conv(0, 16, 3, 2, -1, false);
    const int active = m.affine(v, true);
    const int hidden = m.conv(active, 16, 3, 1, -1, true);
    v = m.conv(hidden, 16, 3, 1, v, false);
    v = m.affine(v, true);
    const int shortcut = m.conv(v, 7, 1, 2, -1, false);
    m.conv(v, 7, 3, 2, shortcut, true);  // 2 x 2
    check("pairs, paired input", m, {1, 5, 17});
  }
  if (!all) return;
  {
    Model m({40, 9, 16});  // several blocks of channels, odd height, strides from whole pixels to pairs
    int v = m.conv(0, 16, 3, 1, -1, true);
    const int wide = m.conv(v, 48, 1, 2, -1, true);
    const int shortcut = m.conv(wide, 13, 1, 2, -1, false);
    v = m.conv(wide, 13, 3, 2, shortcut, true);
    m.conv(v, 13, 3, 1, v, false);
    check("pairs, many channels around", m, {1, 18});
  }
  {
    Model m({3, 8, 40});  // rows longer than a tile; a map that pooling keeps from being paired, and what is added to it
    int v = m.conv(0, 16, 3, 1, -1, true);
    v = m.conv(v, 16, 3, 1, -1, true);
    v = m.max_pool(v);
    const int a = m.conv(v, 16, 3, 1, -1, true);
    v = m.conv(a, 16, 1, 1, v, false);
    m.conv(v, 24, 3, 1, -1, true);
    check("pairs, pooling", m, {1, 7});
  }
  {
    Model m({3, 7, 36});
    int v = m.conv(0, 8, 5, 1, -1, true);
    v = m.conv(v, 16, 3, 2, -1, true);
    m.conv(v, 16, 3, 1, v, true);
    check("pairs, long rows", m, {1, 16});
    check("pairs, from a paired value", m, {1, 9}, 2);
  }
}

// The first n images through the whole network.
std::vector<float> forward(const Built& b, const Model& m, int64_t n, const float* x, igd_tape** tape = nullptr) {
  const Shape& input = m.shapes[0];
  std::vector<float> y(static_cast<size_t>(n * m.shapes.back().size()), NAN);
  expect_status(igd_net_forward(b.net.get(), 0, b.values.back(), n, x, input.size(), input.h * input.w, input.w, 1,
                                y.data(), tape),
                IGD_OK, "forward");
  return y;
}

// The same, again with a tape, and back.
struct Passes {
  std::vector<float> y, taped, gx;
  Passes(const Built& b, const Model& m, int64_t n, const float* x, const float* grad) : y(forward(b, m, n, x)) {
    const Shape& input = m.shapes[0];
    igd_tape* raw = nullptr;
    taped = forward(b, m, n, x, &raw);
    const Tape tape(raw);
    gx.assign(static_cast<size_t>(n * input.size()), NAN);
    expect_status(igd_net_backward(tape.get(), grad, gx.data(), input.size(), input.h * input.w, input.w, 1), IGD_OK,
                  "backward");
  }
};

// All values and gradients of all images, whatever the number of images.
void every_batch() {
  Model m({3, 8, 8});
  const int v = m.block(m.conv(0, 16, 3, 1, -1, true), 16, 1);
  m.block(v, 24, 2);
  const Shape input = m.shapes[0], output = m.shapes.back();
  constexpr int64_t kMost = 37;
  Random random(21);
  const std::vector<float> x = random.vector<float>(kMost * input.size(), 0, 1);
  const std::vector<float> grad = random.vector<float>(kMost * output.size(), -1, 1);
  for (int products : {1, 3, 6}) {
    const Built b = build(m, products);
    std::vector<float> expected, expected_gradient;
    for (int64_t n = kMost; n >= 1; --n) {
      const Passes p(b, m, n, x.data(), grad.data());
      if (expected.empty()) {
        expected = p.y;
        expected_gradient = p.gx;
      }
      const std::string what = "products " + std::to_string(products) + ", " + std::to_string(n) + " images: ";
      expect(std::memcmp(p.y.data(), expected.data(), p.y.size() * sizeof(float)) == 0, what + "values of 37");
      expect(std::memcmp(p.taped.data(), expected.data(), p.y.size() * sizeof(float)) == 0, what + "values of 37, taped");
      expect(std::memcmp(p.gx.data(), expected_gradient.data(), p.gx.size() * sizeof(float)) == 0, what + "gradient of 37");
    }
  }
}

// What is not a number stays in its image, and within it in the kernel's reach, which may be widened to whole pairs.
void not_numbers() {
  Model m({16, 8, 12});
  const int v = m.conv(0, 16, 3, 1, -1, true);
  m.conv(v, 16, 3, 1, -1, false);
  const Built b = build(m, 6);
  const Shape s = m.shapes[0];
  Random random(4);
  const std::vector<float> clean = random.vector<float>(20 * s.size(), -1, 1);
  constexpr int64_t kImage = 3, kY = 2, kX = 5;
  for (float bad : {NAN, INFINITY}) {
    for (int64_t n : {5, 20}) {
      std::vector<float> x = clean;
      x[static_cast<size_t>(((kImage * 16 + 7) * s.h + kY) * s.w + kX)] = bad;
      std::vector<float> expected(static_cast<size_t>(n * s.size())), got(expected.size());
      for (const bool first : {true, false}) {
        expect_status(igd_net_forward(b.net.get(), 0, b.values.back(), n, first ? clean.data() : x.data(), s.size(),
                                      s.h * s.w, s.w, 1, first ? expected.data() : got.data(), nullptr),
                      IGD_OK, "forward");
      }
      bool outside_same = true, inside_bad = true;
      for (int64_t i = 0; i < n * s.h * s.w; ++i) {
        const int64_t image = i / (s.h * s.w), dy = std::abs(i / s.w % s.h - kY), dx = std::abs(i % s.w - kX);
        for (int64_t c = 0; c < 16; ++c) {
          const float e = expected[static_cast<size_t>(i * 16 + c)], g = got[static_cast<size_t>(i * 16 + c)];
          if (image != kImage || dy > 2 || dx > 5) outside_same = outside_same && e == g;
          if (image == kImage && dy == 0 && dx == 0) inside_bad = inside_bad && !std::isfinite(g);
        }
      }
      const std::string what = std::to_string(bad) + " among " + std::to_string(n) + " images: ";
      expect(outside_same, what + "out of reach, nothing changes");
      expect(inside_bad, what + "it is seen in its place");
    }
  }
}

void threads(int64_t size) {
  const Model m = resnet(16, size);
  const Built b = build(m, 6);
  const Shape input = m.shapes[0], output = m.shapes.back();
  const int before = igd_threads_get();
  Random random(3);
  const std::vector<float> x = random.vector<float>(50 * input.size(), 0, 1);
  const std::vector<float> grad = random.vector<float>(50 * output.size(), -1, 1);
  for (int64_t n : {1, 5, 16, 35}) {
    std::vector<float> expected, expected_gradient;
    for (int count : {1, 2, 3, 8}) {
      expect_status(igd_threads_set(count), IGD_OK, "threads");
      const Passes p(b, m, n, x.data(), grad.data());
      if (expected.empty()) {
        expected = p.y;
        expected_gradient = p.gx;
      }
      const std::string what = "n " + std::to_string(n) + " threads " + std::to_string(count);
      expect(p.y == expected && p.taped == expected, what + ": same values");
      expect(p.gx == expected_gradient, what + ": same gradient");
    }
  }
  igd_threads_set(before);
}

// Every number of images, whatever layouts it is split into, and threads: each image as it is alone.
void any_number() {
  for (bool wide : {false, true}) {
    // A wide network prefers the single layout for more images than a narrow one. One tile, several, and an odd number.
    Model m({3, wide ? 5 : 18, wide ? 5 : 18});
    int v = m.conv(0, wide ? 160 : 16, 3, 1, -1, true);
    v = m.block(v, wide ? 160 : 32, wide ? 1 : 2);
    if (!wide) v = m.max_pool(v);
    m.block(v, wide ? 192 : 48, wide ? 2 : 1);
    const Shape input = m.shapes[0];
    const int before = igd_threads_get();
    const int64_t most = 37;
    Random random(17);
    const std::vector<float> x = random.vector<float>(most * input.size(), 0, 1);
    for (int products : {6, 1}) {
      const Built b = build(m, products);
      std::vector<float> alone;
      for (int64_t i = 0; i < most; ++i) {
        const std::vector<float> y = forward(b, m, 1, x.data() + i * input.size());
        alone.insert(alone.end(), y.begin(), y.end());
      }
      for (int64_t n = 1; n <= most; ++n) {
        for (int count : {1, 2, 3}) {
          expect_status(igd_threads_set(count), IGD_OK, "threads");
          const std::vector<float> y = forward(b, m, n, x.data());
          expect(std::memcmp(y.data(), alone.data(), y.size() * sizeof(float)) == 0,
                 std::string(wide ? "wide" : "narrow") + " products " + std::to_string(products) + " n " +
                     std::to_string(n) + " threads " + std::to_string(count) + ": each image as it is alone");
        }
      }
      igd_threads_set(before);
    }
  }
}

// Continuing from a block's hidden value and residual gives what the whole pass gives. Of even width, narrow maps are
// pairs.
void joined(int64_t size, int64_t stem_channels, int64_t out) {
  Model m({3, size, size});
  const int stem = m.conv(0, stem_channels, 3, 1, -1, true);
  const int hidden = m.conv(stem, 16, 1, 1, -1, true);  // a bottleneck: the hidden value is not needed for long
  const int middle = m.conv(hidden, 16, 3, 2, -1, true);
  const int shortcut = m.conv(stem, out, 1, 2, -1, false);
  m.conv(middle, out, 1, 1, shortcut, true);
  const Built b = build(m, 6);
  Random random(8);
  for (int64_t n : {1, 2, 5, 9, 16, 23}) {
    const auto values = [&](int v) {
      const Shape s = m.shapes[static_cast<size_t>(v)];
      return std::vector<float>(static_cast<size_t>(n * s.size()));
    };
    const std::vector<float> x = random.vector<float>(n * m.shapes[0].size(), 0, 1);
    const auto forward = [&](int to) {
      std::vector<float> y = values(to);
      expect_status(igd_net_forward(b.net.get(), 0, b.values[static_cast<size_t>(to)], n, x.data(), 3 * size * size,
                                    size * size, size, 1,
                                    y.data(), nullptr),
                    IGD_OK, "forward");
      return y;
    };
    const std::vector<float> h = forward(hidden), r = forward(shortcut), whole = forward(5);
    const Shape hs = m.shapes[static_cast<size_t>(hidden)], rs = m.shapes[static_cast<size_t>(shortcut)];
    std::vector<float> y = values(5);
    expect_status(
        igd_net_forward_joined(b.net.get(), b.values[static_cast<size_t>(hidden)],
                               b.values[static_cast<size_t>(shortcut)], b.values[5], n, h.data(), hs.size(), 1,
                               hs.w * hs.c, hs.c, r.data(), rs.size(), 1, rs.w * rs.c, rs.c, y.data()),
        IGD_OK, "joined");
    expect(y == whole, "joined n " + std::to_string(n) + ": the whole pass's values");
  }
}

void refusals() {
  igd_net* raw = nullptr;
  const std::vector<float> w(4096, 0.1f);
  int value = 0;
  expect_status(igd_net_create(2, 3, 8, 8, nullptr, nullptr, &raw), IGD_INVALID_ARGUMENT, "products",
                {"products", "got 2"});
  expect_status(igd_net_create(3, 0, 8, 8, nullptr, nullptr, &raw), IGD_INVALID_ARGUMENT, "channels", {"got 0"});
  expect_status(igd_net_create(3, 3, 8, 8, w.data(), nullptr, &raw), IGD_INVALID_ARGUMENT, "scale", {"together"});
  expect_status(igd_net_create(3, 3, 8, 8, nullptr, nullptr, &raw), IGD_OK, "create");
  const Net net(raw);
  std::vector<float> y(4096);
  expect_status(igd_net_forward(raw, 0, 1, 1, w.data(), 1, 1, 1, 1, y.data(), nullptr), IGD_INVALID_ARGUMENT,
                "unsealed", {"sealed"});
  expect_status(igd_net_seal(raw), IGD_INVALID_ARGUMENT, "empty", {"no operation"});
  expect_status(igd_net_conv(raw, 5, 4, 3, 1, 1, w.data(), w.data(), -1, 1, &value), IGD_INVALID_ARGUMENT,
                "unknown value", {"input 5"});
  expect_status(igd_net_conv(raw, 0, 4, 3, 1, 1, w.data(), w.data(), -1, 1, &value), IGD_OK, "first");
  expect_status(igd_net_conv(raw, value, 4, 5, 1, 2, w.data(), w.data(), -1, 1, &value), IGD_UNSUPPORTED,
                "kernel 5", {"kernel 5"});
  expect_status(igd_net_conv(raw, value, 4, 3, 3, 1, w.data(), w.data(), -1, 1, &value), IGD_UNSUPPORTED,
                "stride 3", {"stride 3"});
  const int first = value;
  expect_status(igd_net_conv(raw, first, 8, 3, 1, 1, w.data(), w.data(), first, 1, &value), IGD_INVALID_ARGUMENT,
                "residual", {"residual", "8 x 8 x 8"});
  expect_status(igd_net_conv(raw, first, 4, 3, 1, 1, w.data(), w.data(), first, 1, &value), IGD_OK, "second");
  expect_status(igd_net_seal(raw), IGD_OK, "seal");
  expect_status(igd_net_conv(raw, first, 4, 3, 1, 1, w.data(), w.data(), -1, 1, &value), IGD_INVALID_ARGUMENT,
                "after seal", {"sealed"});
  expect_status(igd_net_forward(raw, 2, first, 1, w.data(), 1, 1, 1, 1, y.data(), nullptr), IGD_INVALID_ARGUMENT,
                "backwards", {"follows"});
  expect_status(igd_net_forward(raw, 0, value, 0, w.data(), 1, 1, 1, 1, y.data(), nullptr), IGD_INVALID_ARGUMENT,
                "no image", {"0 images"});
  expect_status(igd_net_backward(nullptr, w.data(), y.data(), 1, 1, 1, 1), IGD_INVALID_ARGUMENT, "no tape", {"NULL"});
}

}  // namespace

void test_net() {
  refusals();
  const int isa = igd_isa_active();
  for (int each : {static_cast<int>(IGD_ISA_PORTABLE), isa}) {  // below AVX-512 the plain kernels run
    igd_isa_force(each);
    shapes(each == isa);
    networks(each == isa);
    threads(each == isa ? 16 : 8);
    narrow(each == isa);
    every_batch();
    not_numbers();
    joined(9, 24, 40);
    joined(8, 24, 40);
    joined(8, 16, 16);
    if (each == isa) any_number();
    if (isa == IGD_ISA_PORTABLE) break;
  }
  igd_isa_force(isa);
}

void test_net_threads() { threads(8); }

}  // namespace igd_test
