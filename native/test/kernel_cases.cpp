#include "kernel_cases.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>

#include "igd/kernels_cuda.h"
#include "numbers.h"
#include "test_support.h"

namespace igd_test {
namespace {

// Element types

struct BFloat {
  uint16_t bits;
};
struct Half {
  uint16_t bits;
};

template <typename T>
struct Type;
template <>
struct Type<float> {
  typedef float Acc;
  static constexpr int kDtype = IGD_FLOAT32;
  static constexpr double kRounding = 0x1p-24;  // of a result that is stored
  static const char* name() { return "float32"; }
  static double widen(float x) { return x; }
  static float narrow(double x) { return static_cast<float>(x); }
};
template <>
struct Type<double> {
  typedef double Acc;
  static constexpr int kDtype = IGD_FLOAT64;
  static constexpr double kRounding = 0x1p-53;
  static const char* name() { return "float64"; }
  static double widen(double x) { return x; }
  static double narrow(double x) { return x; }
};
template <>
struct Type<BFloat> {
  typedef float Acc;
  static constexpr int kDtype = IGD_BFLOAT16;
  static constexpr double kRounding = 0x1p-8;
  static const char* name() { return "bfloat16"; }
  static double widen(BFloat x) { return igd_numbers::bfloat_to_float(x.bits); }
  static BFloat narrow(double x) { return {igd_numbers::float_to_bfloat(static_cast<float>(x))}; }
};
template <>
struct Type<Half> {
  typedef float Acc;
  static constexpr int kDtype = IGD_FLOAT16;
  static constexpr double kRounding = 0x1p-11;
  static const char* name() { return "float16"; }
  static double widen(Half x) { return igd_numbers::half_to_float(x.bits); }
  static Half narrow(double x) { return {igd_numbers::float_to_half(static_cast<float>(x))}; }
};
template <typename T>
using AccOf = typename Type<T>::Acc;

// Runs of the table

struct Run {
  const Engine* engine;
  std::vector<uint64_t>* hashes;
};

template <typename T>
class Array {
 public:
  // `offset` elements behind an aligned address.
  Array(const Run& run, const std::vector<T>& values, size_t offset = 0)
      : run_(run), size_(values.size()), offset_(offset) {
    memory_ = static_cast<T*>(run.engine->allocate((size_ + offset) * sizeof(T)));
    run.engine->to_device(data(), values.data(), size_ * sizeof(T));
  }
  // An output: every bit set, a NaN in every type.
  Array(const Run& run, int64_t size, size_t offset = 0)
      : Array(run, poison(static_cast<size_t>(size)), offset) {}
  Array(const Array&) = delete;
  ~Array() { run_.engine->release(memory_); }

  T* data() const { return memory_ + offset_; }
  std::vector<T> host() const {
    std::vector<T> values(size_);
    run_.engine->to_host(values.data(), data(), size_ * sizeof(T));
    return values;
  }

 private:
  static std::vector<T> poison(size_t size) {
    std::vector<T> values(size);
    std::memset(static_cast<void*>(values.data()), 0xff, size * sizeof(T));
    return values;
  }
  Run run_;
  size_t size_, offset_;
  T* memory_;
};

template <typename T>
std::vector<double> widen(const std::vector<T>& values) {
  std::vector<double> wide;
  for (const T& x : values) wide.push_back(Type<T>::widen(x));
  return wide;
}

// Numbers of type T in [low, high), as T and as float64.
template <typename T>
struct Numbers {
  std::vector<T> stored;
  std::vector<double> wide;
  Numbers(Random* random, int64_t size, double low, double high) {
    for (int64_t i = 0; i < size; ++i) {
      stored.push_back(Type<T>::narrow(random->uniform(low, high)));
      wide.push_back(Type<T>::widen(stored.back()));
    }
  }
};

// Within `tolerance` times the largest expected value (of `scale` if given).
template <typename T>
void compare(const Run& run, const std::string& what, const Array<T>& actual,
             const std::vector<double>& expected, double tolerance, double scale = 0) {
  const std::vector<T> values = actual.host();
  if (run.hashes != nullptr) {
    uint64_t hash = 0;
    const unsigned char* bytes = reinterpret_cast<const unsigned char*>(values.data());
    for (size_t i = 0; i < values.size() * sizeof(T); ++i) hash = mix(hash ^ bytes[i]);
    run.hashes->push_back(hash);
  }
  double largest = scale;
  for (double x : expected) {
    if (std::isfinite(x)) largest = std::fmax(largest, std::fabs(x));
  }
  const std::vector<double> wide = widen(values);
  const std::vector<long double> wanted(expected.begin(), expected.end());
  close(run.engine->name + " " + what, wide, wanted, std::vector<long double>(wanted.size(), largest),
        tolerance);
}

std::vector<int64_t> labels_for(Random* random, int64_t n, int64_t k) {
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i)
    labels.push_back(static_cast<int64_t>(random->bits() % static_cast<uint64_t>(k)));
  return labels;
}

std::string describe(const char* operation, const char* dtype,
                     const std::vector<std::pair<const char*, int64_t>>& sizes) {
  std::string text = std::string(operation) + " " + dtype;
  for (const auto& size : sizes) text += std::string(" ") + size.first + "=" + std::to_string(size.second);
  return text;
}

// Activations a[N,U,S] in one of the layouts; gaps are NaN.
template <typename T>
struct Strided {
  Activation<double> wide;
  std::vector<T> stored;
  Strided(Order order, int64_t n, int64_t u, int64_t s, uint64_t seed) : wide(order, n, u, s) {
    wide.randomize(seed, -0.2, 1);
    for (double& x : wide.memory) {
      stored.push_back(Type<T>::narrow(x));
      x = Type<T>::widen(stored.back());
    }
  }
  double pooled(int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t q = 0; q < wide.s; ++q) sum += wide.at(i, j, q);
    return sum / static_cast<double>(wide.s);
  }
};

// Leave-one-out at the penultimate layer

struct LooShape {
  int64_t n, u, s, k;
};
const LooShape kLooShapes[] = {{1, 1, 1, 1}, {5, 3, 7, 2}, {9, 40, 16, 3}, {300, 8, 1, 2}};

template <typename T>
void loo_penultimate(const Run& run, const LooShape& c, Order order, size_t offset) {
  const std::string name =
      describe("loo_penultimate", Type<T>::name(), {{"N", c.n}, {"U", c.u}, {"S", c.s}, {"K", c.k}}) + " " +
      order_name(order) + (offset > 0 ? " unaligned" : "");
  const bool cuda = run.engine->cuda;
  const Strided<T> a(order, c.n, c.u, c.s, 5);
  Random random(7);
  std::vector<int64_t> labels = labels_for(&random, c.n, c.k);
  const Numbers<T> weight(&random, c.k * c.u, -1, 1);
  const Array<T> da(run, a.stored, offset), dw(run, weight.stored);
  for (int sign = 0; sign < 2; ++sign) {
    std::vector<double> sums(static_cast<size_t>(c.k * c.u), 0.5);
    std::vector<int64_t> counts(static_cast<size_t>(c.k), 1);
    const Array<double> dsums(run, sums);
    const Array<int64_t> dcounts(run, counts), dbad(run, std::vector<int64_t>{0});
    const auto accumulate = [&](const std::vector<int64_t>& batch) {
      const Array<int64_t> dlabels(run, batch);
      run.engine->call(name, [&](void* stream) {
        return cuda ? igd_loo_penultimate_accumulate_cuda(Type<T>::kDtype, da.data(), a.wide.stride_n,
                                                          a.wide.stride_u, a.wide.stride_s, c.n, c.u, c.s,
                                                          dlabels.data(), c.k, sign, dsums.data(),
                                                          dcounts.data(), dbad.data(), stream)
                    : igd_loo_penultimate_accumulate(Type<T>::kDtype, da.data(), a.wide.stride_n,
                                                     a.wide.stride_u, a.wide.stride_s, c.n, c.u, c.s,
                                                     dlabels.data(), c.k, sign, dsums.data(), dcounts.data());
      });
      dsums.host();  // waits, before the labels go
    };
    accumulate(labels);
    for (int64_t i = 0; i < c.n; ++i) {
      const int64_t label = labels[static_cast<size_t>(i)];
      counts[static_cast<size_t>(label)] += 1;
      for (int64_t u = 0; u < c.u; ++u) {
        const double p = a.pooled(i, u);
        sums[static_cast<size_t>(label * c.u + u)] += sign ? p : std::fabs(p);
      }
    }
    compare(run, name + " sums", dsums, sums, 1e-14);
    expect(dcounts.host() == counts, run.engine->name + " " + name + " counts");
    if (cuda) {
      // A bad label: nothing is added, its place is told, and later batches add nothing.
      std::vector<int64_t> wrong = labels;
      wrong.back() = c.k;
      accumulate(wrong);
      expect(dbad.host()[0] == c.n, name + " place of a bad label");
      accumulate(labels);
      compare(run, name + " sums after a bad label", dsums, sums, 1e-14);
      expect(dcounts.host() == counts, name + " counts after a bad label");
    }
    for (int normalization = 0; normalization < 2; ++normalization) {
      const Array<double> out(run, c.u * c.k);
      run.engine->call(name, [&](void* stream) {
        return cuda ? igd_loo_penultimate_finish_cuda(Type<T>::kDtype, dw.data(), c.k, c.u, dsums.data(),
                                                      dcounts.data(), sign, normalization, out.data(), stream)
                    : igd_loo_penultimate_finish(Type<T>::kDtype, dw.data(), c.k, c.u, dsums.data(),
                                                 dcounts.data(), sign, normalization, out.data());
      });
      int64_t all = 0;
      for (int64_t x : counts) all += x;
      std::vector<double> expected;
      for (int64_t u = 0; u < c.u; ++u) {
        for (int64_t k = 0; k < c.k; ++k) {
          const size_t at = static_cast<size_t>(k * c.u + u);
          const double rate = normalization == 0 ? 1.0 / static_cast<double>(counts[static_cast<size_t>(k)])
                                                 : static_cast<double>(c.k) / static_cast<double>(all);
          expected.push_back((sign ? -weight.wide[at] : std::fabs(weight.wide[at])) * sums[at] * rate);
        }
      }
      compare(run, name + " importance", out, expected, 1e-14);
    }
  }
}

// Masked head

struct HeadShape {
  int64_t n, u, s, k;
  double temperature;
};
const HeadShape kHeadShapes[] = {
    {1, 1, 1, 1, 1.0}, {2, 3, 7, 2, 0.5}, {2, 40, 16, 10, 0.01}, {2, 257, 2, 37, 0.3}};

template <typename T>
void masked_head(const Run& run, const HeadShape& c, Order order, size_t offset) {
  typedef AccOf<T> A;
  const bool cuda = run.engine->cuda;
  const std::string name =
      describe("masked_head", Type<T>::name(), {{"N", c.n}, {"U", c.u}, {"S", c.s}, {"K", c.k}}) + " " +
      order_name(order) + (offset > 0 ? " unaligned" : "");
  const double tolerance = std::numeric_limits<A>::epsilon() * 64 * (1 + 0.1 / c.temperature);
  const Strided<T> a(order, c.n, c.u, c.s, static_cast<uint64_t>(c.n + c.u));
  Random random(3);
  const Numbers<T> weight(&random, c.k * c.u, -0.5, 0.5), bias(&random, c.k, -1, 1);
  const Numbers<A> g(&random, c.n * c.k, -1, 1);
  std::vector<uint8_t> masks(static_cast<size_t>(c.k * c.u));
  for (uint8_t& m : masks) m = static_cast<uint8_t>(random.bits() % 4 == 0 ? 1 + random.bits() % 2 : 0);

  // float64
  const size_t nu = static_cast<size_t>(c.n * c.u), nk = static_cast<size_t>(c.n * c.k);
  std::vector<double> p(nu), z(nk), y(nk), m(nu), logits(nk);
  const auto w = [&](int64_t k, int64_t u) { return weight.wide[static_cast<size_t>(k * c.u + u)]; };
  const auto mask = [&](int64_t k, int64_t u) {
    return masks[static_cast<size_t>(k * c.u + u)] != 0 ? 1.0 : 0.0;
  };
  for (int64_t i = 0; i < c.n; ++i) {
    double *pi = &p[static_cast<size_t>(i * c.u)], *mi = &m[static_cast<size_t>(i * c.u)];
    double *zi = &z[static_cast<size_t>(i * c.k)], *yi = &y[static_cast<size_t>(i * c.k)];
    for (int64_t u = 0; u < c.u; ++u) pi[u] = a.pooled(i, u);
    double highest = -INFINITY, total = 0;
    for (int64_t k = 0; k < c.k; ++k) {
      zi[k] = bias.wide[static_cast<size_t>(k)];
      for (int64_t u = 0; u < c.u; ++u) zi[k] += pi[u] * w(k, u);
      highest = std::fmax(highest, zi[k]);
    }
    for (int64_t k = 0; k < c.k; ++k) total += yi[k] = std::exp((zi[k] - highest) / c.temperature);
    for (int64_t k = 0; k < c.k; ++k) yi[k] /= total;
    for (int64_t u = 0; u < c.u; ++u) {
      for (int64_t k = 0; k < c.k; ++k) mi[u] += yi[k] * mask(k, u);
    }
    for (int64_t k = 0; k < c.k; ++k) {
      double sum = bias.wide[static_cast<size_t>(k)];
      for (int64_t u = 0; u < c.u; ++u) sum += mi[u] * pi[u] * w(k, u);
      logits[static_cast<size_t>(i * c.k + k)] = sum;
    }
  }

  const Array<T> da(run, a.stored, offset), dw(run, weight.stored, offset), db(run, bias.stored, offset);
  const Array<uint8_t> dmasks(run, masks);
  const auto forward = [&](const A* z_in, A* pooled, A* z_out, A* y_out, A* m_out, A* out) {
    run.engine->call(name, [&](void* stream) {
      return cuda ? igd_masked_head_forward_cuda(Type<T>::kDtype, da.data(), a.wide.stride_n, a.wide.stride_u,
                                                 a.wide.stride_s, c.n, c.u, c.s, dw.data(), db.data(), c.k,
                                                 dmasks.data(), c.temperature, z_in, pooled, z_out, y_out,
                                                 m_out, out, stream)
                  : igd_masked_head_forward(Type<T>::kDtype, da.data(), a.wide.stride_n, a.wide.stride_u,
                                            a.wide.stride_s, c.n, c.u, c.s, dw.data(), db.data(), c.k,
                                            dmasks.data(), c.temperature, z_in, pooled, z_out, y_out, m_out,
                                            out);
    });
  };
  const Array<A> dp(run, c.n * c.u), dz(run, c.n * c.k), dy(run, c.n * c.k), dm(run, c.n * c.u),
      dout(run, c.n * c.k);
  forward(nullptr, dp.data(), dz.data(), dy.data(), dm.data(), dout.data());
  compare(run, name + " pooled", dp, p, tolerance);
  compare(run, name + " first logits", dz, z, tolerance);
  compare(run, name + " soft weights", dy, y, 10 * tolerance);
  compare(run, name + " soft mask", dm, m, 10 * tolerance);
  compare(run, name + " logits", dout, logits, 10 * tolerance);
  {
    const Array<A> p2(run, c.n * c.u), out2(run, c.n * c.k), out3(run, c.n * c.k), z2(run, c.n * c.k);
    forward(nullptr, p2.data(), nullptr, nullptr, nullptr, out2.data());
    compare(run, name + " only logits", out2, logits, 10 * tolerance);
    forward(dz.data(), p2.data(), z2.data(), nullptr, nullptr, out3.data());
    identical(run.engine->name + " " + name + " first logits given", out3.host(), out2.host());
    identical(run.engine->name + " " + name + " first logits handed on", z2.host(), dz.host());
    std::vector<A> broken = dz.host();
    broken.back() = std::numeric_limits<A>::quiet_NaN();
    const Array<A> dbroken(run, broken);
    forward(dbroken.data(), p2.data(), nullptr, nullptr, nullptr, out3.data());
    const std::vector<A> out = out3.host(), before = out2.host();
    expect(std::isnan(out.back()) && std::isnan(out[nk - static_cast<size_t>(c.k)]),
           run.engine->name + " " + name + " a NaN reaches its logits");
    expect(c.n == 1 || out[0] == before[0], run.engine->name + " " + name + " and no other image");
  }

  // The backward from what the forward wrote.
  p = widen(dp.host()), y = widen(dy.host()), m = widen(dm.host());
  const Array<A> dg(run, g.stored);
  for (int own = 0; own < 2; ++own) {
    std::vector<double> grad(nu), gz(nk);
    for (int64_t i = 0; i < c.n; ++i) {
      const double *pi = &p[static_cast<size_t>(i * c.u)], *mi = &m[static_cast<size_t>(i * c.u)];
      const double* yi = &y[static_cast<size_t>(i * c.k)];
      std::vector<double> dq(static_cast<size_t>(c.u)), gy(static_cast<size_t>(c.k));
      double inner = 0;
      for (int64_t u = 0; u < c.u; ++u) {
        for (int64_t k = 0; k < c.k; ++k)
          dq[static_cast<size_t>(u)] += g.wide[static_cast<size_t>(i * c.k + k)] * w(k, u);
      }
      for (int64_t k = 0; k < c.k; ++k) {
        for (int64_t u = 0; u < c.u; ++u)
          gy[static_cast<size_t>(k)] += pi[u] * dq[static_cast<size_t>(u)] * mask(k, u);
        inner += yi[k] * gy[static_cast<size_t>(k)];
      }
      for (int64_t k = 0; k < c.k; ++k) {
        gz[static_cast<size_t>(i * c.k + k)] = yi[k] * (gy[static_cast<size_t>(k)] - inner) / c.temperature;
      }
      for (int64_t u = 0; u < c.u; ++u) {
        double sum = mi[u] * dq[static_cast<size_t>(u)];
        for (int64_t k = 0; own && k < c.k; ++k) sum += gz[static_cast<size_t>(i * c.k + k)] * w(k, u);
        grad[static_cast<size_t>(i * c.u + u)] = sum / static_cast<double>(c.s);
      }
    }
    for (int with_mask = 0; with_mask < 2; ++with_mask) {
      const Array<T> dgrad(run, static_cast<int64_t>(a.stored.size()), offset);
      const Array<A> dgz(run, c.n * c.k);
      A* gz_out = own && with_mask ? nullptr : dgz.data();
      run.engine->call(name, [&](void* stream) {
        const A* soft_mask = with_mask ? dm.data() : nullptr;
        return cuda ? igd_masked_head_backward_cuda(Type<T>::kDtype, dg.data(), dp.data(), dy.data(),
                                                    soft_mask, dw.data(), dmasks.data(), c.temperature, c.n,
                                                    c.u, c.s, c.k, own, dgrad.data(), a.wide.stride_n,
                                                    a.wide.stride_u, a.wide.stride_s, gz_out, stream)
                    : igd_masked_head_backward(Type<T>::kDtype, dg.data(), dp.data(), dy.data(), soft_mask,
                                               dw.data(), dmasks.data(), c.temperature, c.n, c.u, c.s, c.k,
                                               own, dgrad.data(), a.wide.stride_n, a.wide.stride_u,
                                               a.wide.stride_s, gz_out);
      });
      // Every element, and no gap: gaps stay NaN.
      std::vector<double> expected(a.stored.size(), NAN);
      for (int64_t i = 0; i < c.n; ++i) {
        for (int64_t u = 0; u < c.u; ++u) {
          for (int64_t s = 0; s < c.s; ++s) {
            expected[static_cast<size_t>(i * a.wide.stride_n + u * a.wide.stride_u + s * a.wide.stride_s)] =
                grad[static_cast<size_t>(i * c.u + u)];
          }
        }
      }
      // dz is a small difference of large numbers: compare on the scale of 1/temperature.
      compare(run, name + " gradient", dgrad, expected, 10 * tolerance + Type<T>::kRounding,
              1 / c.temperature / static_cast<double>(c.s));
      if (gz_out != nullptr) compare(run, name + " dz", dgz, gz, 10 * tolerance, 1 / c.temperature);
    }
  }
}

// Masked activation

struct ActivationShape {
  int64_t n, c, s;
};
const ActivationShape kActivationShapes[] = {{1, 1, 1}, {2, 3, 5}, {3, 40, 16}, {2, 7, 33}, {2, 72, 8}};

template <typename T>
void masked_activation(const Run& run, const ActivationShape& c, bool last, size_t offset) {
  typedef AccOf<T> A;
  const bool cuda = run.engine->cuda;
  const std::string base =
      describe("masked_activation", Type<T>::name(), {{"N", c.n}, {"C", c.c}, {"S", c.s}}) +
      (last ? " channels-last" : " channels-first") + (offset > 0 ? " unaligned" : "");
  Random random(11);
  const int64_t size = c.n * c.c * c.s;
  const Numbers<T> x(&random, size, -1, 1), r(&random, size, -1, 1), g(&random, size, -1, 1);
  Numbers<A> mask(&random, c.n * c.c, 0, 1);
  mask.stored[0] = 0, mask.wide[0] = 0;
  const Array<T> dx(run, x.stored, offset), dr(run, r.stored, offset), dg(run, g.stored, offset);
  const Array<A> dmask(run, mask.stored, offset);
  const double tolerance = 8 * std::numeric_limits<A>::epsilon() + 2 * Type<T>::kRounding;
  for (int variant = 0; variant < 6; ++variant) {
    const bool residual = variant % 2 == 0, masked = variant != 3, relu = variant != 4, sums = variant < 4;
    const std::string name = base + (residual ? " residual" : "") + (masked ? " mask" : "") +
                             (relu ? " relu" : "") + (sums ? " mask gradient" : "");
    std::vector<double> out, grad, grad_mask(static_cast<size_t>(c.n * c.c));
    for (int64_t e = 0; e < size; ++e) {
      const int64_t image = e / (c.c * c.s), rest = e % (c.c * c.s);
      const size_t row = static_cast<size_t>(image * c.c + (last ? rest % c.c : rest / c.s));
      const size_t at = static_cast<size_t>(e);
      double pre = x.wide[at] + (residual ? r.wide[at] : 0);
      // Where the kernel's sum is rounded to 0 or beyond, so is ours.
      pre = static_cast<double>(static_cast<A>(pre));
      const double factor = masked ? mask.wide[row] : 1;
      const bool off = relu && pre <= 0;
      out.push_back(off ? 0 : pre * factor);
      grad.push_back(off ? 0 : g.wide[at] * factor);
      grad_mask[row] += off ? 0 : g.wide[at] * pre;
    }
    const T* dresidual = residual ? dr.data() : nullptr;
    const A* dfactor = masked ? dmask.data() : nullptr;
    const Array<T> dout(run, size, offset), dgrad(run, size, offset);
    const Array<A> dsums(run, c.n * c.c);
    run.engine->call(name, [&](void* stream) {
      return cuda ? igd_masked_activation_forward_cuda(Type<T>::kDtype, dx.data(), dresidual, dfactor, c.n,
                                                       c.c, c.s, last, relu, dout.data(), stream)
                  : igd_masked_activation_forward(Type<T>::kDtype, dx.data(), dresidual, dfactor, c.n, c.c,
                                                  c.s, last, relu, dout.data());
    });
    compare(run, name, dout, out, tolerance);
    A* grad_mask_out = sums ? dsums.data() : nullptr;
    const auto backward = [&](const T* from, const T* from_residual, T* to, A* to_mask) {
      run.engine->call(name + " backward", [&](void* stream) {
        return cuda ? igd_masked_activation_backward_cuda(Type<T>::kDtype, dg.data(), from, from_residual,
                                                          dfactor, c.n, c.c, c.s, last, relu, to, to_mask,
                                                          stream)
                    : igd_masked_activation_backward(Type<T>::kDtype, dg.data(), from, from_residual, dfactor,
                                                     c.n, c.c, c.s, last, relu, to, to_mask);
      });
    };
    backward(dx.data(), dresidual, dgrad.data(), grad_mask_out);
    compare(run, name + " gradient", dgrad, grad, tolerance);
    if (sums) {
      compare(run, name + " mask gradient", dsums, grad_mask,
              std::numeric_limits<A>::epsilon() * 4 * static_cast<double>(c.s + 1));
    } else {
      // From the forward's output in place of its inputs.
      const Array<T> dgrad2(run, size, offset);
      backward(dout.data(), nullptr, dgrad2.data(), nullptr);
      compare(run, name + " gradient from the output", dgrad2, grad, tolerance);
    }
  }
}

// Leave-one-out inside the network

struct ConvolutionShape {
  int64_t n, h, w, u, o, kernel, stride, padding, groups, pairs;
};
const ConvolutionShape kConvolutionShapes[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 1, 1},  {2, 4, 5, 3, 7, 3, 2, 1, 1, 5},   {2, 6, 6, 8, 24, 3, 1, 1, 3, 6},
    {1, 9, 9, 3, 33, 7, 2, 3, 1, 2}, {2, 4, 4, 16, 64, 3, 1, 1, 2, 4}, {2, 8, 8, 4, 16, 1, 2, 0, 1, 4}};

template <typename T>
void loo_interior(const Run& run, ConvolutionShape c, bool relu, bool with_removed, size_t offset) {
  typedef AccOf<T> A;
  if (c.u % c.groups != 0) c.u = c.groups * 2;
  const bool cuda = run.engine->cuda;
  const int64_t oh = (c.h + 2 * c.padding - c.kernel) / c.stride + 1;
  const int64_t ow = (c.w + 2 * c.padding - c.kernel) / c.stride + 1;
  const std::string name = describe("loo_interior", Type<T>::name(),
                                    {{"N", c.n},
                                     {"H", c.h},
                                     {"U", c.u},
                                     {"O", c.o},
                                     {"kernel", c.kernel},
                                     {"groups", c.groups},
                                     {"P", c.pairs}}) +
                           (relu ? " relu" : "") + (with_removed ? " removed" : "") +
                           (offset > 0 ? " unaligned" : "");
  Random random(17);
  const int64_t outputs = c.o / c.groups, taps = c.kernel * c.kernel;
  const Numbers<T> base(&random, c.n * oh * ow * c.o, -1, 1), removed(&random, c.u, -1, 1);
  Numbers<T> input(&random, c.n * c.h * c.w * c.u, -1, 1);
  for (size_t i = 0; i < input.wide.size(); i += 3) input.stored[i] = Type<T>::narrow(0), input.wide[i] = 0;
  const Numbers<A> weight(&random, c.u * taps * outputs, -1, 1);
  std::vector<int64_t> units = labels_for(&random, c.pairs, c.u), images = labels_for(&random, c.pairs, c.n);
  std::vector<double> expected, identity;
  for (size_t p = 0; p < units.size(); ++p) {
    const int64_t first = units[p] / (c.u / c.groups) * outputs;
    for (int64_t y = 0; y < oh; ++y) {
      for (int64_t x = 0; x < ow; ++x) {
        for (int64_t o = 0; o < c.o; ++o) {
          double sum = base.wide[static_cast<size_t>(((images[p] * oh + y) * ow + x) * c.o + o)];
          for (int64_t t = 0; t < taps && o >= first && o < first + outputs; ++t) {
            const int64_t row = y * c.stride + t / c.kernel - c.padding;
            const int64_t column = x * c.stride + t % c.kernel - c.padding;
            if (row < 0 || row >= c.h || column < 0 || column >= c.w) continue;
            const double delta =
                (with_removed ? removed.wide[static_cast<size_t>(units[p])] : 0) -
                input.wide[static_cast<size_t>(((images[p] * c.h + row) * c.w + column) * c.u + units[p])];
            sum += delta * weight.wide[static_cast<size_t>((units[p] * taps + t) * outputs + o - first)];
          }
          expected.push_back(relu && sum < 0 ? 0 : sum);
        }
      }
    }
    for (int64_t q = 0; q < c.h * c.w; ++q) {
      for (int64_t u = 0; u < c.u; ++u) {
        identity.push_back(
            u == units[p] ? 0 : input.wide[static_cast<size_t>((images[p] * c.h * c.w + q) * c.u + u)]);
      }
    }
  }
  const double tolerance = 32 * std::numeric_limits<A>::epsilon() + 2 * Type<T>::kRounding;
  const Array<T> dbase(run, base.stored, offset), dinput(run, input.stored, offset),
      dremoved(run, removed.stored);
  const Array<A> dweight(run, weight.stored, offset);
  const Array<int64_t> dunits(run, units), dimages(run, images);
  const Array<T> out(run, c.pairs * oh * ow * c.o, offset), copy(run, c.pairs * c.h * c.w * c.u, offset);
  const T* removed_or_null = with_removed ? dremoved.data() : nullptr;
  run.engine->call(name, [&](void* stream) {
    return cuda ? igd_loo_ablate_convolution_cuda(
                      Type<T>::kDtype, dbase.data(), c.n, oh, ow, c.o, dinput.data(), c.h, c.w, c.u,
                      removed_or_null, dweight.data(), c.kernel, c.stride, c.padding, c.groups, relu,
                      dunits.data(), dimages.data(), c.pairs, out.data(), stream)
                : igd_loo_ablate_convolution(Type<T>::kDtype, dbase.data(), c.n, oh, ow, c.o, dinput.data(),
                                             c.h, c.w, c.u, removed_or_null, dweight.data(), c.kernel,
                                             c.stride, c.padding, c.groups, relu, dunits.data(),
                                             dimages.data(), c.pairs, out.data());
  });
  compare(run, name, out, expected, tolerance);
  run.engine->call(name + " identity", [&](void* stream) {
    return cuda ? igd_loo_ablate_identity_cuda(Type<T>::kDtype, dinput.data(), c.n, c.h * c.w, c.u,
                                               dunits.data(), dimages.data(), c.pairs, copy.data(), stream)
                : igd_loo_ablate_identity(Type<T>::kDtype, dinput.data(), c.n, c.h * c.w, c.u, dunits.data(),
                                          dimages.data(), c.pairs, copy.data());
  });
  compare(run, name + " identity", copy, identity, 0);
  if (!cuda) return;
  // Out of range: NaN for that pair, and nothing but it.
  units.back() = c.u;
  images.front() = c.pairs > 1 ? -1 : images.front();
  const int64_t one = oh * ow * c.o, one_copy = c.h * c.w * c.u;
  for (int64_t p = 0; p < c.pairs; ++p) {
    if (p != c.pairs - 1 && p != 0) continue;
    for (int64_t e = 0; e < one; ++e) expected[static_cast<size_t>(p * one + e)] = NAN;
    for (int64_t e = 0; e < one_copy; ++e) identity[static_cast<size_t>(p * one_copy + e)] = NAN;
  }
  const Array<int64_t> bad_units(run, units), bad_images(run, images);
  const Array<T> out2(run, c.pairs * one, offset), copy2(run, c.pairs * one_copy, offset);
  run.engine->call(name + " out of range", [&](void* stream) {
    return igd_loo_ablate_convolution_cuda(Type<T>::kDtype, dbase.data(), c.n, oh, ow, c.o, dinput.data(),
                                           c.h, c.w, c.u, removed_or_null, dweight.data(), c.kernel, c.stride,
                                           c.padding, c.groups, relu, bad_units.data(), bad_images.data(),
                                           c.pairs, out2.data(), stream);
  });
  compare(run, name + " out of range", out2, expected, tolerance);
  run.engine->call(name + " identity out of range", [&](void* stream) {
    return igd_loo_ablate_identity_cuda(Type<T>::kDtype, dinput.data(), c.n, c.h * c.w, c.u, bad_units.data(),
                                        bad_images.data(), c.pairs, copy2.data(), stream);
  });
  compare(run, name + " identity out of range", copy2, identity, 0);
}

template <typename T>
void loo_differences(const Run& run, int64_t n, int64_t k, int64_t pairs) {
  const bool cuda = run.engine->cuda;
  const std::string name = describe("loo_differences", Type<T>::name(), {{"N", n}, {"K", k}, {"P", pairs}});
  Random random(19);
  const Numbers<T> logits(&random, pairs * k, -3, 3), base(&random, n * k, -3, 3);
  const std::vector<int64_t> labels = labels_for(&random, n, k), images = labels_for(&random, pairs, n);
  const Array<T> dlogits(run, logits.stored), dbase(run, base.stored);
  const Array<int64_t> dlabels(run, labels), dimages(run, images);
  for (int sign = 0; sign < 2; ++sign) {
    std::vector<double> expected;
    for (size_t p = 0; p < images.size(); ++p) {
      const int64_t label = labels[static_cast<size_t>(images[p])];
      const double difference = logits.wide[p * static_cast<size_t>(k) + static_cast<size_t>(label)] -
                                base.wide[static_cast<size_t>(images[p] * k + label)];
      expected.push_back(sign ? difference : std::fabs(difference));
    }
    const Array<double> out(run, pairs);
    run.engine->call(name, [&](void* stream) {
      return cuda ? igd_loo_differences_cuda(Type<T>::kDtype, dlogits.data(), k, dbase.data(), dlabels.data(),
                                             n, dimages.data(), pairs, sign, out.data(), stream)
                  : igd_loo_differences(Type<T>::kDtype, dlogits.data(), k, dbase.data(), dlabels.data(), n,
                                        dimages.data(), pairs, sign, out.data());
    });
    compare(run, name, out, expected, 0);
  }
}

// CD-IR

struct CdirShape {
  int64_t n, k, u, top;
  double scale, min_prob, lambda;
};
const CdirShape kCdirShapes[] = {{1, 1, 1, 1, 1.0, 0.1, 1.0},
                                 {9, 10, 3, 5, 10.0, 1e-7, 0.6},
                                 {40, 16, 9, 33, 4.0, 0.0, 0.0},
                                 {7, 330, 2, 7, 20.0, 1e-3, 1.0}};

template <typename T>
void cdir_score(const Run& run, const CdirShape& c, bool labelled, size_t offset) {
  typedef AccOf<T> A;
  const bool cuda = run.engine->cuda;
  const std::string name =
      describe("cdir_score", Type<T>::name(), {{"N", c.n}, {"K", c.k}, {"U", c.u}, {"top", c.top}}) +
      (labelled ? " labels" : "") + (offset > 0 ? " unaligned" : "");
  Random random(23);
  const Numbers<T> p(&random, c.n * c.k, -1, 1);
  const std::vector<int64_t> labels = labels_for(&random, c.n, c.k);
  std::vector<int32_t> indices;
  for (int64_t i = 0; i < c.u * c.top; ++i)
    indices.push_back(static_cast<int32_t>(random.bits() % static_cast<uint64_t>(c.n)));
  std::vector<double> rank_weight;
  for (int64_t r = 0; r < c.top; ++r) {
    rank_weight.push_back(0.999 - 0.9 * static_cast<double>(r) / static_cast<double>(c.top));
  }
  std::vector<double> s(p.wide.size()), expected(static_cast<size_t>(c.u * c.k));
  for (int64_t i = 0; i < c.n; ++i) {
    double highest = -INFINITY, total = 0;
    for (int64_t k = 0; k < c.k; ++k) highest = std::fmax(highest, p.wide[static_cast<size_t>(i * c.k + k)]);
    for (int64_t k = 0; k < c.k; ++k) {
      total += s[static_cast<size_t>(i * c.k + k)] =
          std::exp(c.scale * (p.wide[static_cast<size_t>(i * c.k + k)] - highest));
    }
    for (int64_t k = 0; k < c.k; ++k) {
      s[static_cast<size_t>(i * c.k + k)] *=
          (labelled && k != labels[static_cast<size_t>(i)] ? 0 : 1) / total;
    }
  }
  for (int64_t u = 0; u < c.u; ++u) {
    for (int64_t k = 0; k < c.k; ++k) {
      double sum = 0;
      for (int64_t r = 0; r < c.top; ++r) {
        const size_t row = static_cast<size_t>(indices[static_cast<size_t>(u * c.top + r)] * c.k + k);
        const double weight = rank_weight[static_cast<size_t>(r)];
        sum += std::log(((1 - weight) + c.min_prob) + weight * s[row]);
      }
      expected[static_cast<size_t>(u * c.k + k)] = sum;
    }
  }
  for (int64_t k = 0; k < c.k && c.lambda != 0; ++k) {
    double highest = -INFINITY, total = 0;
    for (int64_t u = 0; u < c.u; ++u)
      highest = std::fmax(highest, expected[static_cast<size_t>(u * c.k + k)]);
    for (int64_t u = 0; u < c.u; ++u) total += std::exp(expected[static_cast<size_t>(u * c.k + k)] - highest);
    const double prior = highest + std::log(total) - std::log(static_cast<double>(c.u));
    for (int64_t u = 0; u < c.u; ++u) expected[static_cast<size_t>(u * c.k + k)] -= c.lambda * prior;
  }
  const Array<T> dp(run, p.stored, offset);
  const Array<int64_t> dlabels(run, labels);
  const Array<int32_t> dindices(run, indices);
  const Array<double> dweight(run, rank_weight), out(run, c.u * c.k);
  const int64_t bytes = cuda ? igd_cdir_score_workspace_cuda(Type<T>::kDtype, c.n) : 16;
  expect(bytes > 0, name + " workspace");
  const Array<char> workspace(run, bytes);
  const int64_t* labels_or_null = labelled ? dlabels.data() : nullptr;
  const auto score = [&](const int32_t* at) {
    run.engine->call(name, [&](void* stream) {
      return cuda ? igd_cdir_score_cuda(Type<T>::kDtype, dp.data(), c.n, c.k, c.scale, labels_or_null, at,
                                        c.u, c.top, dweight.data(), c.min_prob, c.lambda, out.data(),
                                        workspace.data(), stream)
                  : igd_cdir_score(Type<T>::kDtype, dp.data(), c.n, c.k, c.scale, labels_or_null, at, c.u,
                                   c.top, dweight.data(), c.min_prob, c.lambda, out.data());
    });
  };
  score(dindices.data());
  compare(run, name, out, expected,
          std::numeric_limits<A>::epsilon() * (8 + 4 * c.scale) * static_cast<double>(c.top), 1);
  if (!cuda) return;
  indices.back() = static_cast<int32_t>(c.n);
  const Array<int32_t> bad(run, indices);
  score(bad.data());
  const std::vector<double> scores = out.host();
  bool last_nan = true, first_nan = true;
  for (int64_t k = 0; k < c.k; ++k) {
    last_nan = last_nan && std::isnan(scores[static_cast<size_t>((c.u - 1) * c.k + k)]);
    first_nan = first_nan && std::isnan(scores[static_cast<size_t>(k)]);
  }
  expect(last_nan, name + " index out of range");
  expect(c.u == 1 || first_nan == (c.lambda != 0), name + " index out of range and the other units");
}

// Auto-PGD

struct StepShape {
  int64_t n, d;
};
const StepShape kStepShapes[] = {{1, 1}, {3, 7}, {2, 96}, {2, 1100}};

template <typename T>
void apgd_step(const Run& run, const StepShape& c, size_t offset) {
  typedef AccOf<T> A;
  const std::string name =
      describe("apgd_step", Type<T>::name(), {{"N", c.n}, {"D", c.d}}) + (offset > 0 ? " unaligned" : "");
  Random random(29);
  const int64_t size = c.n * c.d;
  const Numbers<T> x(&random, size, 0, 1), point(&random, size, 0, 1), previous(&random, size, 0, 1);
  Numbers<T> gradient(&random, size, -1, 1);
  gradient.stored[0] = Type<T>::narrow(0), gradient.wide[0] = 0;
  const Numbers<A> step(&random, c.n, 0.01, 0.5);
  const Array<T> dx(run, x.stored, offset), dpoint(run, point.stored, offset),
      dprevious(run, previous.stored, offset), dgradient(run, gradient.stored, offset);
  const Array<A> dstep(run, step.stored);
  const double epsilon = 0.25, momentum = 0.75;
  const auto clamp = [](double v, double low, double high) { return std::fmin(std::fmax(v, low), high); };
  std::vector<double> linf, l2;
  const auto ahead_of = [&](double ahead, size_t e) {
    return point.wide[e] + momentum * (ahead - point.wide[e]) +
           (1 - momentum) * (point.wide[e] - previous.wide[e]);
  };
  for (int64_t i = 0; i < c.n; ++i) {
    const size_t start = static_cast<size_t>(i * c.d), end = start + static_cast<size_t>(c.d);
    const double length = step.wide[static_cast<size_t>(i)];
    double norm = 0;
    for (size_t e = start; e < end; ++e) norm += gradient.wide[e] * gradient.wide[e];
    norm = std::sqrt(norm);
    std::vector<double> z(static_cast<size_t>(c.d));
    const auto project = [&] {
      double size_ = 0;
      for (size_t e = start; e < end; ++e) size_ += (z[e - start] - x.wide[e]) * (z[e - start] - x.wide[e]);
      size_ = std::sqrt(size_);
      const double factor = std::fmin(size_, epsilon) / (size_ + 1e-12);
      for (size_t e = start; e < end; ++e)
        z[e - start] = clamp(x.wide[e] + (z[e - start] - x.wide[e]) * factor, 0, 1);
    };
    for (size_t e = start; e < end; ++e) {
      const double low = clamp(x.wide[e] - epsilon, 0, 1), high = clamp(x.wide[e] + epsilon, 0, 1);
      const double sign = gradient.wide[e] > 0 ? 1 : gradient.wide[e] < 0 ? -1 : 0;
      linf.push_back(clamp(ahead_of(clamp(point.wide[e] + length * sign, low, high), e), low, high));
      z[e - start] = point.wide[e] + length * gradient.wide[e] / (norm + 1e-12);
    }
    project();
    for (size_t e = start; e < end; ++e) z[e - start] = ahead_of(z[e - start], e);
    project();
    l2.insert(l2.end(), z.begin(), z.end());
  }
  const double tolerance = 64 * std::numeric_limits<A>::epsilon() + 2 * Type<T>::kRounding;
  const Array<T> next(run, size, offset), next2(run, size, offset);
  run.engine->call(name + " linf", [&](void* stream) {
    return igd_apgd_step_linf_cuda(Type<T>::kDtype, dx.data(), dpoint.data(), dprevious.data(),
                                   dgradient.data(), dstep.data(), c.n, c.d, epsilon, momentum, next.data(),
                                   stream);
  });
  compare(run, name + " linf", next, linf, tolerance);
  run.engine->call(name + " l2", [&](void* stream) {
    return igd_apgd_step_l2_cuda(Type<T>::kDtype, dx.data(), dpoint.data(), dprevious.data(),
                                 dgradient.data(), dstep.data(), c.n, c.d, epsilon, momentum, next2.data(),
                                 stream);
  });
  compare(run, name + " l2", next2, l2, tolerance);
}

// The table

template <typename T>
void run_dtype(const Run& run, bool large, const char* only) {
  const bool cuda = run.engine->cuda;
  const bool full = std::is_same<T, float>::value || std::is_same<T, double>::value;
  const bool bfloat = std::is_same<T, BFloat>::value;
  const auto wanted = [&](const char* operation, bool on_cpu) {
    return (only == nullptr || std::string(only) == operation) && (cuda || on_cpu);
  };
  const size_t offsets = large ? 2 : 1;
  if (wanted("loo_penultimate", full)) {
    for (const LooShape& c : kLooShapes) {
      for (Order order : kOrders) {
        for (size_t offset = 0; offset < offsets; ++offset) loo_penultimate<T>(run, c, order, offset);
      }
    }
  }
  if (wanted("masked_head", full)) {
    for (const HeadShape& c : kHeadShapes) {
      for (Order order : kOrders) {
        for (size_t offset = 0; offset < offsets; ++offset) masked_head<T>(run, c, order, offset);
      }
    }
  }
  if (wanted("masked_activation", full || bfloat)) {
    for (const ActivationShape& c : kActivationShapes) {
      for (int last = 0; last < 2; ++last) {
        for (size_t offset = 0; offset < 2; ++offset) masked_activation<T>(run, c, last != 0, offset);
      }
    }
  }
  if (wanted("loo_interior", full || bfloat)) {
    for (const ConvolutionShape& c : kConvolutionShapes) {
      for (int variant = 0; variant < 2; ++variant) {
        for (size_t offset = 0; offset < offsets; ++offset)
          loo_interior<T>(run, c, variant == 0, variant != 0, offset);
      }
    }
  }
  if (wanted("loo_differences", full)) {
    loo_differences<T>(run, 3, 10, 7);
    loo_differences<T>(run, 2, 3, 300);
  }
  if (wanted("cdir_score", full)) {
    for (const CdirShape& c : kCdirShapes) {
      for (int labelled = 0; labelled < 2; ++labelled) {
        for (size_t offset = 0; offset < offsets; ++offset) cdir_score<T>(run, c, labelled != 0, offset);
      }
    }
  }
  if (wanted("apgd_step", false)) {
    for (const StepShape& c : kStepShapes) {
      for (size_t offset = 0; offset < 2; ++offset) apgd_step<T>(run, c, offset);
    }
  }
}

}  // namespace

void run_kernel_cases(const Engine& engine, bool large, const char* only, std::vector<uint64_t>* hashes) {
  const Run run = {&engine, hashes};
  run_dtype<float>(run, large, only);
  run_dtype<double>(run, large, only);
  run_dtype<BFloat>(run, large, only);
  run_dtype<Half>(run, large, only);
}

namespace {

struct Traffic {
  Run run;
  std::function<void()> before;
  std::function<void(const Claim&)> after;

  template <typename T>
  void measure(const std::string& operation, const std::string& shape, int64_t launches, double minimum,
               double requested, const std::function<igd_status(void*)>& call) const {
    before();
    run.engine->call(operation, call);
    after({operation, Type<T>::name(), shape, launches, minimum, requested});
  }
};

template <typename T>
void traffic(const Traffic& t) {
  typedef AccOf<T> A;
  const int dtype = Type<T>::kDtype;
  const double B = sizeof(T), AB = sizeof(A);
  const Run& run = t.run;
  Random random(31);
  {
    const int64_t n = 8, u = 512, s = 16, k = 10;
    const double N = n, U = u, S = s, K = k;
    const std::string shape = "N=8 U=512 S=16 K=10";
    const Array<T> a(run, Numbers<T>(&random, n * u * s, 0, 1).stored),
        w(run, Numbers<T>(&random, k * u, -1, 1).stored), b(run, Numbers<T>(&random, k, -1, 1).stored),
        grad(run, n * u * s);
    const Array<uint8_t> masks(run, std::vector<uint8_t>(static_cast<size_t>(k * u), 1));
    const Array<A> p(run, n * u), z(run, n * k), y(run, n * k), m(run, n * u), out(run, n * k);
    // At this temperature one class per image is listed.
    for (int last = 0; last < 2; ++last) {
      const std::string layout = last ? " channels-last" : " channels-first";
      const int64_t su = last ? 1 : s, ss = last ? u : 1;
      t.measure<T>("masked_head_forward" + layout, shape, 1,
                   N * U * S * B + K * U * B + K * B + K * U + N * (2 * U + 3 * K) * AB,
                   N * (U * S * B + 2 * K * U * B + 2 * K * B + U + (2 * U + 3 * K) * AB), [&](void* stream) {
                     return igd_masked_head_forward_cuda(dtype, a.data(), u * s, su, ss, n, u, s, w.data(),
                                                         b.data(), k, masks.data(), 1e-5, nullptr, p.data(),
                                                         z.data(), y.data(), m.data(), out.data(), stream);
                   });
      t.measure<T>("masked_head_backward" + layout, shape, 1,
                   N * U * S * B + K * U * B + K * U + N * (2 * U + 3 * K) * AB,
                   N * (U * S * B + (K + 1) * U * B + U + (2 * U + 3 * K) * AB), [&](void* stream) {
                     return igd_masked_head_backward_cuda(dtype, out.data(), p.data(), y.data(), m.data(),
                                                          w.data(), masks.data(), 1e-5, n, u, s, k, 1,
                                                          grad.data(), u * s, su, ss, z.data(), stream);
                   });
    }
  }
  for (int last = 0; last < 2; ++last) {
    const int64_t n = 4, c = 64, s = 64, size = n * c * s;
    const double E = static_cast<double>(size), rows = static_cast<double>(n * c);
    const std::string shape = "N=4 C=64 S=64", layout = last ? " channels-last" : " channels-first";
    const Array<T> x(run, Numbers<T>(&random, size, -1, 1).stored),
        r(run, Numbers<T>(&random, size, -1, 1).stored), g(run, Numbers<T>(&random, size, -1, 1).stored),
        out(run, size);
    const Array<A> m(run, Numbers<A>(&random, n * c, 0, 1).stored), sums(run, n * c);
    // The mask is asked for per 16 bytes (channels-first) or per element, from the first-level cache.
    const double walked = last ? E * AB : E * B / 16 * AB;
    t.measure<T>("masked_activation_forward" + layout, shape, 1, 3 * E * B + rows * AB, 3 * E * B + walked,
                 [&](void* stream) {
                   return igd_masked_activation_forward_cuda(dtype, x.data(), r.data(), m.data(), n, c, s,
                                                             last, 1, out.data(), stream);
                 });
    t.measure<T>("masked_activation_backward" + layout, shape, 1, 4 * E * B + rows * AB, 4 * E * B + walked,
                 [&](void* stream) {
                   return igd_masked_activation_backward_cuda(dtype, g.data(), x.data(), r.data(), m.data(),
                                                              n, c, s, last, 1, out.data(), nullptr, stream);
                 });
    int64_t width = 1;  // lanes of a row
    while (width < 32 && width * 16 / static_cast<int64_t>(B) < s) width *= 2;
    t.measure<T>(
        "masked_activation_backward with mask gradient" + layout, shape, 1, 4 * E * B + 2 * rows * AB,
        4 * E * B + rows * AB * (last ? 32 + 1 : static_cast<double>(width) + 1), [&](void* stream) {
          return igd_masked_activation_backward_cuda(dtype, g.data(), x.data(), r.data(), m.data(), n, c, s,
                                                     last, 1, out.data(), sums.data(), stream);
        });
  }
  for (int last = 0; last < 2; ++last) {
    const int64_t n = 64, u = 64, s = 16, k = 4;
    const double N = n, U = u, S = s, K = k;
    const Array<T> a(run, Numbers<T>(&random, n * u * s, 0, 1).stored),
        w(run, Numbers<T>(&random, k * u, -1, 1).stored);
    const Array<int64_t> labels(run, labels_for(&random, n, k)), counts(run, std::vector<int64_t>(4, 0)),
        bad(run, std::vector<int64_t>{0});
    const Array<double> sums(run, std::vector<double>(static_cast<size_t>(k * u), 0)), out(run, u * k);
    const int64_t su = last ? 1 : s, ss = last ? u : 1;
    const double tiles = last ? U / (8 * 16 / B) : U / 32;
    t.measure<T>(std::string("loo_penultimate_accumulate") + (last ? " channels-last" : " channels-first"),
                 "N=64 U=64 S=16 K=4", 2, N * U * S * B + 16 * K * U + 8 * N + 16 * K,
                 N * U * S * B + 16 * K * U + (K * tiles + 1) * N * 8 + K * tiles * 256 * 8 + 16 * K,
                 [&](void* stream) {
                   return igd_loo_penultimate_accumulate_cuda(dtype, a.data(), u * s, su, ss, n, u, s,
                                                              labels.data(), k, 0, sums.data(), counts.data(),
                                                              bad.data(), stream);
                 });
    if (last) continue;
    t.measure<T>("loo_penultimate_finish", "U=64 K=4", 1, K * U * (16 + B), K * U * (24 + B),
                 [&](void* stream) {
                   return igd_loo_penultimate_finish_cuda(dtype, w.data(), k, u, sums.data(), counts.data(),
                                                          0, 0, out.data(), stream);
                 });
  }
  {
    const int64_t n = 2, h = 8, u = 32, o = 64, pairs = n * u, s = h * h;
    const double out_bytes = static_cast<double>(pairs * s * o) * B;
    const Array<T> base(run, Numbers<T>(&random, n * s * o, -1, 1).stored),
        input(run, Numbers<T>(&random, n * s * u, 0.1, 1).stored), out(run, pairs * s * o);
    const Array<A> weight(run, Numbers<A>(&random, u * 9 * o, -1, 1).stored);
    std::vector<int64_t> units, images;
    for (int64_t p = 0; p < pairs; ++p) units.push_back(p % u), images.push_back(p / u);
    const Array<int64_t> dunits(run, units), dimages(run, images);
    const double inside = 22.0 * 22.0;  // taps of 8x8 positions that lie inside
    const double pairs_ = static_cast<double>(pairs), indices = 16 * pairs_;
    t.measure<T>(
        "loo_ablate_convolution", "P=64 N=2 8x8 U=32 O=64 3x3", 1,
        out_bytes + static_cast<double>(n * s * (o + u)) * B + static_cast<double>(u * 9 * o) * AB + indices,
        2 * out_bytes + pairs_ * inside * (B + static_cast<double>(o) * AB) + pairs_ * 4 * 256 * 16,
        [&](void* stream) {
          return igd_loo_ablate_convolution_cuda(dtype, base.data(), n, h, h, o, input.data(), h, h, u,
                                                 nullptr, weight.data(), 3, 1, 1, 1, 1, dunits.data(),
                                                 dimages.data(), pairs, out.data(), stream);
        });
    const double copied = static_cast<double>(pairs * s * u) * B;
    t.measure<T>("loo_ablate_identity", "P=64 N=2 S=64 U=32", 1,
                 copied + static_cast<double>(n * s * u) * B + indices, 2 * copied + copied / 16 * 16,
                 [&](void* stream) {
                   return igd_loo_ablate_identity_cuda(dtype, input.data(), n, s, u, dunits.data(),
                                                       dimages.data(), pairs, out.data(), stream);
                 });
    // Two logits per pair, each in 32 bytes of its own.
    const int64_t k = 64;
    const Array<T> logits(run, Numbers<T>(&random, pairs * k, -1, 1).stored),
        clean(run, Numbers<T>(&random, n * k, -1, 1).stored);
    const Array<int64_t> labels(run, labels_for(&random, n, k));
    const Array<double> differences(run, pairs);
    t.measure<T>("loo_differences", "P=64 K=64", 1, pairs_ * (32 + 8 + 8) + 32 * 3, pairs_ * (2 * B + 24),
                 [&](void* stream) {
                   return igd_loo_differences_cuda(dtype, logits.data(), k, clean.data(), labels.data(), n,
                                                   dimages.data(), pairs, 0, differences.data(), stream);
                 });
  }
  {
    const int64_t n = 256, k = 64, u = 16, top = 32;
    const double N = n, K = k, U = u, R = top;
    const Array<T> p(run, Numbers<T>(&random, n * k, -1, 1).stored);
    std::vector<int32_t> indices;
    std::vector<char> used(static_cast<size_t>(n));
    for (int64_t i = 0; i < u * top; ++i) {
      indices.push_back(static_cast<int32_t>(random.bits() % static_cast<uint64_t>(n)));
      used[static_cast<size_t>(indices.back())] = 1;
    }
    double rows = 0;
    for (char x : used) rows += x;
    const Array<int32_t> dindices(run, indices);
    const Array<double> weight(run, std::vector<double>(static_cast<size_t>(top), 0.9)), out(run, u * k);
    const Array<char> workspace(run, igd_cdir_score_workspace_cuda(dtype, n));
    for (int prior = 0; prior < 2; ++prior) {
      const double lambda_bytes = prior ? 16 * U * K : 0;
      // The rows' maxima and factors are written and read once, too.
      t.measure<T>(prior ? "cdir_score with prior" : "cdir_score", "N=256 K=64 U=16 top=32", prior ? 3 : 2,
                   (N + rows) * K * B + 2 * (N + rows) * AB + 8 * U * K + 4 * U * R + 8 * R + lambda_bytes,
                   2 * N * K * B + N * (32 * B + 2 * AB) + U * R * (K * B + 2 * AB + 4 + 16) + 8 * U * K +
                       (prior ? 8 * U * K * 4 + 8 * 256 * 2 : 0),
                   [&](void* stream) {
                     return igd_cdir_score_cuda(dtype, p.data(), n, k, 10, nullptr, dindices.data(), u, top,
                                                weight.data(), 1e-3, prior, out.data(), workspace.data(),
                                                stream);
                   });
    }
  }
  {
    const int64_t n = 4, d = 3072;
    const double E = static_cast<double>(n * d);
    const auto numbers = [&] { return Numbers<T>(&random, n * d, 0, 1).stored; };
    const Array<T> x(run, numbers()), point(run, numbers()), previous(run, numbers()),
        gradient(run, numbers()), next(run, n * d);
    const Array<A> step(run, std::vector<A>(static_cast<size_t>(n), A(0.1)));
    const double steps = static_cast<double>(n) * AB;
    t.measure<T>(
        "apgd_step_linf", "N=4 D=3072", 1, 5 * E * B + steps, 5 * E * B + E * B / 16 * AB, [&](void* stream) {
          return igd_apgd_step_linf_cuda(dtype, x.data(), point.data(), previous.data(), gradient.data(),
                                         step.data(), n, d, 0.03, 0.75, next.data(), stream);
        });
    t.measure<T>(
        "apgd_step_l2", "N=4 D=3072", 1, 5 * E * B + steps, 13 * E * B + 256 * steps, [&](void* stream) {
          return igd_apgd_step_l2_cuda(dtype, x.data(), point.data(), previous.data(), gradient.data(),
                                       step.data(), n, d, 0.5, 0.75, next.data(), stream);
        });
  }
}

}  // namespace

void run_traffic_cases(const Engine& engine, const std::function<void()>& before,
                       const std::function<void(const Claim&)>& after) {
  const Traffic t = {{&engine, nullptr}, before, after};
  traffic<float>(t);
  traffic<double>(t);
  traffic<BFloat>(t);
  traffic<Half>(t);
}

Engine cpu_engine() {
  return {"cpu",
          false,
          [](size_t bytes) { return ::operator new(bytes, std::align_val_t(64)); },
          [](void* p) { ::operator delete(p, std::align_val_t(64)); },
          [](void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); },
          [](void* to, const void* from, size_t bytes) { std::memcpy(to, from, bytes); },
          [](const std::string& what, const std::function<igd_status(void*)>& call) {
            expect(call(nullptr) == IGD_OK, what + ": " + igd_last_error());
          }};
}

}  // namespace igd_test
