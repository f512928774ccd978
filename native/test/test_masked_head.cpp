// The masked head against naive sums in long double: stage by stage from the kernel's own earlier outputs
// (tight), from end to end, and the backward also against finite differences.
#include <algorithm>

#include "test_support.h"

namespace igd_test {
namespace {

struct Case {
  int64_t n, u, s, k;
  double temperature;
};

// 1, odd, one beside a vector or block length, large; the last ones are shared among threads by image and,
// for few images, by unit and class.
const Case kCases[] = {{1, 1, 1, 1, 1.0},       {1, 3, 7, 2, 0.5},        {2, 5, 1, 3, 0.01},
                       {3, 15, 4, 7, 1.0},      {4, 16, 16, 8, 0.01},     {5, 17, 17, 9, 0.3},
                       {6, 31, 15, 10, 2.0},    {7, 33, 31, 33, 0.01},    {1, 63, 49, 10, 0.01},
                       {1, 64, 64, 100, 1.0},   {3, 65, 65, 10, 0.1},     {1, 512, 16, 10, 0.01},
                       {2, 160, 64, 100, 5.0},  {33, 129, 5, 11, 0.01},   {70, 640, 8, 10, 0.01},
                       {2, 2048, 49, 130, 3.0}, {1, 2048, 2, 1000, 0.01}, {5, 1025, 3, 257, 4.0}};

std::string name_of(const char* what, const Case& c, Order order, const std::string& isa, const char* dtype) {
  char text[200];
  std::snprintf(text, sizeof(text), "%s %s %s %s N=%d U=%d S=%d K=%d t=%g", what, isa.c_str(), dtype,
                order_name(order), static_cast<int>(c.n), static_cast<int>(c.u), static_cast<int>(c.s),
                static_cast<int>(c.k), c.temperature);
  return text;
}

template <typename T>
struct Head {
  Case c;
  std::vector<T> weight, bias;
  std::vector<uint8_t> masks;

  explicit Head(const Case& c_) : c(c_) {
    Random random(static_cast<uint64_t>(c.u * 31 + c.k));
    weight = random.vector<T>(c.k * c.u, -0.5, 0.5);
    bias = random.vector<T>(c.k, -0.2, 0.2);
    masks.resize(static_cast<size_t>(c.k * c.u));
    // About a fifth of the units; what is not 0 counts as 1.
    for (uint8_t& m : masks) {
      m = static_cast<uint8_t>(random.bits() % 5 == 0 ? (random.bits() % 2 == 0 ? 1 : 1 + random.bits() % 255)
                                                      : 0);
    }
  }
};

template <typename T>
struct Outputs {
  std::vector<T> pooled, z, y, m, logits;
};

template <typename T>
std::vector<T> unwritten(int64_t size) {
  return std::vector<T>(static_cast<size_t>(size), static_cast<T>(-777));
}

template <typename T>
Outputs<T> forward(const Head<T>& head, const Activation<T>& a, const std::vector<T>* z_in = nullptr,
                   bool with_bias = true) {
  const Case& c = head.c;
  Outputs<T> o{unwritten<T>(a.n * c.u), unwritten<T>(a.n * c.k), unwritten<T>(a.n * c.k),
               unwritten<T>(a.n * c.u), unwritten<T>(a.n * c.k)};
  expect_status(
      igd_masked_head_forward(dtype_of<T>(), a.memory.data(), a.stride_n, a.stride_u, a.stride_s, a.n, c.u,
                              a.s, head.weight.data(), with_bias ? head.bias.data() : nullptr, c.k,
                              head.masks.data(), c.temperature, z_in ? z_in->data() : nullptr,
                              o.pooled.data(), o.z.data(), o.y.data(), o.m.data(), o.logits.data()),
      IGD_OK, "forward");
  return o;
}

template <typename T>
struct Gradients {
  Activation<T> a;
  std::vector<T> z;
};

template <typename T>
Gradients<T> backward(const Head<T>& head, const Outputs<T>& o, const std::vector<T>& g, Order order,
                      int64_t s, bool own, bool with_mask, bool check_written = true) {
  const Case& c = head.c;
  const int64_t n = static_cast<int64_t>(o.pooled.size()) / c.u;
  Gradients<T> r{Activation<T>(order, n, c.u, s), unwritten<T>(n * c.k)};
  expect_status(igd_masked_head_backward(
                    dtype_of<T>(), g.data(), o.pooled.data(), o.y.data(), with_mask ? o.m.data() : nullptr,
                    head.weight.data(), head.masks.data(), c.temperature, n, c.u, s, c.k, own,
                    r.a.memory.data(), r.a.stride_n, r.a.stride_u, r.a.stride_s, r.z.data()),
                IGD_OK, "backward");
  expect(!check_written || r.a.written() == n * c.u * s, "backward writes every element and no gap");
  return r;
}

typedef std::vector<long double> Reals;

// sum_u x[i,u] * w[c,u] + b[c], with the sum of magnitudes in `scale`.
template <typename X, typename T>
Reals linear(const std::vector<X>& x, const std::vector<T>& w, const std::vector<T>* b, int64_t n, int64_t k,
             int64_t u, Reals* scale) {
  Reals out(static_cast<size_t>(n * k));
  scale->assign(out.size(), 0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < k; ++c) {
      const size_t at = static_cast<size_t>(i * k + c);
      long double total = b ? static_cast<long double>((*b)[static_cast<size_t>(c)]) : 0.0L;
      long double magnitude = std::fabs(total);
      for (int64_t j = 0; j < u; ++j) {
        const long double term = static_cast<long double>(x[static_cast<size_t>(i * u + j)]) *
                                 static_cast<long double>(w[static_cast<size_t>(c * u + j)]);
        total += term;
        magnitude += std::fabs(term);
      }
      out[at] = total;
      (*scale)[at] = magnitude;
    }
  }
  return out;
}

template <typename X>
Reals softmax(const std::vector<X>& z, int64_t n, int64_t k, double temperature) {
  Reals y(z.size());
  for (int64_t i = 0; i < n; ++i) {
    long double highest = z[static_cast<size_t>(i * k)];
    for (int64_t c = 0; c < k; ++c)
      highest = std::max(highest, static_cast<long double>(z[static_cast<size_t>(i * k + c)]));
    long double total = 0;
    for (int64_t c = 0; c < k; ++c) {
      const size_t at = static_cast<size_t>(i * k + c);
      y[at] = std::exp((static_cast<long double>(z[at]) - highest) / temperature);
      total += y[at];
    }
    for (int64_t c = 0; c < k; ++c) y[static_cast<size_t>(i * k + c)] /= total;
  }
  return y;
}

template <typename X>
Reals mix_masks(const std::vector<X>& y, const std::vector<uint8_t>& masks, int64_t n, int64_t k, int64_t u) {
  Reals m(static_cast<size_t>(n * u));
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < k; ++c) {
      const long double weight = y[static_cast<size_t>(i * k + c)];
      for (int64_t j = 0; j < u; ++j) {
        if (masks[static_cast<size_t>(c * u + j)] != 0) m[static_cast<size_t>(i * u + j)] += weight;
      }
    }
  }
  return m;
}

template <typename X, typename Y>
Reals product(const std::vector<X>& x, const std::vector<Y>& y) {
  Reals out(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    out[i] = static_cast<long double>(x[i]) * static_cast<long double>(y[i]);
  return out;
}

template <typename T>
Reals pool(const Activation<T>& a, Reals* scale) {
  Reals p(static_cast<size_t>(a.n * a.u));
  scale->assign(p.size(), 0);
  for (int64_t i = 0; i < a.n; ++i) {
    for (int64_t j = 0; j < a.u; ++j) {
      const size_t at = static_cast<size_t>(i * a.u + j);
      for (int64_t q = 0; q < a.s; ++q) {
        p[at] += a.at(i, j, q);
        (*scale)[at] += std::fabs(static_cast<long double>(a.at(i, j, q)));
      }
      p[at] /= a.s;
      (*scale)[at] /= a.s;
    }
  }
  return p;
}

// Error of a sum of `terms` products relative to the sum of magnitudes: rounding errors of vectors of partial
// sums grow with the length of one lane (at least 2 lanes), usually with its root.
template <typename T>
double sum_tolerance(int64_t terms) {
  return std::numeric_limits<T>::epsilon() * (4 + 0.5 * std::sqrt(static_cast<double>(terms)));
}

template <typename T>
void check_forward(const Case& c, Order order, const std::string& isa) {
  const std::string name = name_of("forward", c, order, isa, dtype_name<T>());
  const double eps = std::numeric_limits<T>::epsilon();
  const Head<T> head(c);
  Activation<T> a(order, c.n, c.u, c.s);
  a.randomize(static_cast<uint64_t>(c.n + c.u), 0, 1);
  const Outputs<T> o = forward(head, a);

  Reals scale;
  const Reals pooled = pool(a, &scale);
  close(name + " pooled", o.pooled, pooled, scale, sum_tolerance<T>(c.s));
  close(name + " z", o.z, linear(o.pooled, head.weight, &head.bias, c.n, c.k, c.u, &scale), scale,
        sum_tolerance<T>(c.u));
  close(name + " y", o.y, softmax(o.z, c.n, c.k, c.temperature), {}, 4 * eps);
  close(name + " m", o.m, mix_masks(o.y, head.masks, c.n, c.k, c.u), {}, sum_tolerance<T>(c.k));
  const Reals logits = linear(product(o.m, o.pooled), head.weight, &head.bias, c.n, c.k, c.u, &scale);
  close(name + " logits", o.logits, logits, scale, sum_tolerance<T>(c.u));

  // End to end: an error of z enters through softmax(z/t), so 1/t times its relative size is allowed there.
  Reals z_scale;
  const Reals z = linear(pooled, head.weight, &head.bias, c.n, c.k, c.u, &z_scale);
  const Reals m = mix_masks(softmax(z, c.n, c.k, c.temperature), head.masks, c.n, c.k, c.u);
  const Reals end = linear(product(m, pooled), head.weight, &head.bias, c.n, c.k, c.u, &scale);
  const double amplified =
      std::is_same<T, double>::value ? 1e-13 * (1 + 0.1 / c.temperature) : 1e-5 * (1 + 1 / c.temperature);
  long double largest = 1;
  for (long double x : z_scale) largest = std::max(largest, x);
  for (long double& x : scale) x = std::max(x, largest);
  close(name + " end to end", o.logits, end, scale, amplified);

  // The first logits given: the same values in give the same out; other values are used.
  const Outputs<T> given = forward(head, a, &o.z);
  identical(name + " z given", given.logits, o.logits);
  identical(name + " z handed on", given.z, o.z);
  std::vector<T> other = Random(9).vector<T>(c.n * c.k, -2 * c.temperature, 2 * c.temperature);
  const Outputs<T> noisy = forward(head, a, &other, false);
  close(name + " other z: y", noisy.y, softmax(other, c.n, c.k, c.temperature), {}, 4 * eps);
  close(name + " other z: m", noisy.m, mix_masks(noisy.y, head.masks, c.n, c.k, c.u), {},
        sum_tolerance<T>(c.k));
  close(name + " other z, no bias", noisy.logits,
        linear(product(noisy.m, noisy.pooled), head.weight, static_cast<const std::vector<T>*>(nullptr), c.n,
               c.k, c.u, &scale),
        scale, sum_tolerance<T>(c.u));

  // Optional outputs left out: nothing else changes.
  std::vector<T> p = unwritten<T>(c.n * c.u), logits_only = unwritten<T>(c.n * c.k);
  expect_status(igd_masked_head_forward(dtype_of<T>(), a.memory.data(), a.stride_n, a.stride_u, a.stride_s,
                                        c.n, c.u, c.s, head.weight.data(), head.bias.data(), c.k,
                                        head.masks.data(), c.temperature, nullptr, p.data(), nullptr, nullptr,
                                        nullptr, logits_only.data()),
                IGD_OK, name);
  identical(name + " logits only", logits_only, o.logits);
  identical(name + " pooled only", p, o.pooled);
}

template <typename T>
void check_backward(const Case& c, Order order, const std::string& isa) {
  const std::string name = name_of("backward", c, order, isa, dtype_name<T>());
  const Head<T> head(c);
  Activation<T> a(order, c.n, c.u, c.s);
  a.randomize(static_cast<uint64_t>(c.n + c.u), 0, 1);
  // Logits near each other, so that several classes take part at any temperature.
  const std::vector<T> z = Random(11).vector<T>(c.n * c.k, -3 * c.temperature, 3 * c.temperature);
  const Outputs<T> o = forward(head, a, &z);
  const std::vector<T> g = Random(12).vector<T>(c.n * c.k, -1, 1);

  const size_t nu = static_cast<size_t>(c.n * c.u), nk = static_cast<size_t>(c.n * c.k);
  Reals dq(nu), dq_scale(nu), dz(nk), dz_scale(nk), dy(nk), dy_scale(nk);
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t k = 0; k < c.k; ++k) {
      for (int64_t u = 0; u < c.u; ++u) {
        const long double term = static_cast<long double>(g[static_cast<size_t>(i * c.k + k)]) *
                                 static_cast<long double>(head.weight[static_cast<size_t>(k * c.u + u)]);
        dq[static_cast<size_t>(i * c.u + u)] += term;
        dq_scale[static_cast<size_t>(i * c.u + u)] += std::fabs(term);
      }
    }
    long double inner = 0, inner_scale = 0;
    for (int64_t k = 0; k < c.k; ++k) {
      const size_t at = static_cast<size_t>(i * c.k + k);
      for (int64_t u = 0; u < c.u; ++u) {
        if (head.masks[static_cast<size_t>(k * c.u + u)] == 0) continue;
        const size_t iu = static_cast<size_t>(i * c.u + u);
        dy[at] += static_cast<long double>(o.pooled[iu]) * dq[iu];
        dy_scale[at] += std::fabs(static_cast<long double>(o.pooled[iu])) * dq_scale[iu];
      }
      inner += o.y[at] * dy[at];
      inner_scale += o.y[at] * dy_scale[at];
    }
    for (int64_t k = 0; k < c.k; ++k) {
      const size_t at = static_cast<size_t>(i * c.k + k);
      dz[at] = o.y[at] * (dy[at] - inner) / c.temperature;
      dz_scale[at] = o.y[at] * (dy_scale[at] + inner_scale) / c.temperature;
    }
  }
  const double tolerance = sum_tolerance<T>(c.u + c.k);

  for (int own = 0; own < 2; ++own) {
    Reals expected(nu * static_cast<size_t>(c.s)), scale(expected.size());
    for (int64_t i = 0; i < c.n; ++i) {
      for (int64_t u = 0; u < c.u; ++u) {
        const size_t iu = static_cast<size_t>(i * c.u + u);
        long double dp = o.m[iu] * dq[iu], magnitude = o.m[iu] * dq_scale[iu];
        for (int64_t k = 0; own && k < c.k; ++k) {
          const size_t ik = static_cast<size_t>(i * c.k + k);
          const long double w = head.weight[static_cast<size_t>(k * c.u + u)];
          dp += dz[ik] * w;
          magnitude += dz_scale[ik] * std::fabs(w);
        }
        for (int64_t s = 0; s < c.s; ++s) {
          expected[iu * static_cast<size_t>(c.s) + static_cast<size_t>(s)] = dp / c.s;
          scale[iu * static_cast<size_t>(c.s) + static_cast<size_t>(s)] = magnitude / c.s;
        }
      }
    }
    const Gradients<T> r = backward(head, o, g, order, c.s, own != 0, true);
    std::vector<T> dense;
    for (int64_t i = 0; i < c.n; ++i) {
      for (int64_t u = 0; u < c.u; ++u) {
        for (int64_t s = 0; s < c.s; ++s) dense.push_back(r.a.at(i, u, s));
      }
    }
    close(name + (own ? " da (own z)" : " da (given z)"), dense, expected, scale, tolerance);
    close(name + " dz", r.z, dz, dz_scale, tolerance);

    const Gradients<T> recomputed = backward(head, o, g, order, c.s, own != 0, false);
    identical(name + " dz, mask recomputed", recomputed.z, r.z);
    for (int64_t i = 0; i < c.n; ++i) {
      for (int64_t u = 0; u < c.u; ++u) {
        if (recomputed.a.at(i, u, 0) != r.a.at(i, u, 0)) {
          expect(false, name + ": another gradient with the mask recomputed");
          i = c.n - 1;
          break;
        }
      }
    }
    if (own) {
      Activation<T> without(order, c.n, c.u, c.s);
      expect_status(igd_masked_head_backward(dtype_of<T>(), g.data(), o.pooled.data(), o.y.data(), o.m.data(),
                                             head.weight.data(), head.masks.data(), c.temperature, c.n, c.u,
                                             c.s, c.k, 1, without.memory.data(), without.stride_n,
                                             without.stride_u, without.stride_s, nullptr),
                    IGD_OK, name);
      bool same = true;
      for (int64_t i = 0; i < c.n; ++i)
        same = same && without.at(i, c.u - 1, c.s - 1) == r.a.at(i, c.u - 1, c.s - 1);
      expect(same, name + ": another gradient without dz");
    }
  }
}

// Central differences of sum(g . logits) in float64 with respect to a, and to a given z.
void check_finite_differences(const std::string& isa) {
  const Case c = {3, 19, 4, 5, 0.6};
  const Head<double> head(c);
  Activation<double> a(Order::kChannelsLast, c.n, c.u, c.s);
  a.randomize(21, 0, 1);
  const std::vector<double> g = Random(22).vector<double>(c.n * c.k, -1, 1);
  const auto value = [&](const Activation<double>& at, const std::vector<double>* z) {
    const Outputs<double> o = forward(head, at, z);
    double total = 0;
    for (size_t i = 0; i < g.size(); ++i) total += g[i] * o.logits[i];
    return total;
  };
  const double step = 1e-5;
  for (int own = 0; own < 2; ++own) {
    std::vector<double> z = Random(23).vector<double>(c.n * c.k, -1, 1);
    const std::vector<double>* given = own ? nullptr : &z;
    const Outputs<double> o = forward(head, a, given);
    const Gradients<double> r = backward(head, o, g, Order::kNchw, c.s, own != 0, false);
    std::vector<double> actual;
    Reals expected;
    for (int64_t i = 0; i < c.n; ++i) {
      for (int64_t u = 0; u < c.u; ++u) {
        for (int64_t s = 0; s < c.s; ++s) {
          Activation<double> up = a, down = a;
          up.at(i, u, s) += step;
          down.at(i, u, s) -= step;
          actual.push_back(r.a.at(i, u, s));
          expected.push_back((value(up, given) - value(down, given)) / (2 * step));
        }
      }
    }
    close("backward " + isa + (own ? " own z" : " given z") + " against differences: da", actual, expected,
          {}, 1e-8);
    if (!own) {
      Reals dz;
      for (size_t j = 0; j < z.size(); ++j) {
        std::vector<double> up = z, down = z;
        up[j] += step;
        down[j] -= step;
        dz.push_back((value(a, &up) - value(a, &down)) / (2 * step));
      }
      close("backward " + isa + " against differences: dz", r.z, dz, {}, 1e-8);
    }
  }
}

// Values depend neither on the number of threads nor on the other images of the batch.
template <typename T>
void check_invariance(const std::string& isa) {
  const int threads = igd_threads_get();
  // Each large enough for threads: shared by image, and (few images) by unit and class.
  const Case cases[] = {{150, 640, 8, 10, 0.01}, {1, 2048, 2, 1500, 1.0}, {5, 1025, 3, 600, 4.0}};
  for (const Case& c : cases) {
    const std::string name = name_of("invariance", c, Order::kNchw, isa, dtype_name<T>());
    const Head<T> head(c);
    Activation<T> a(Order::kNchw, c.n, c.u, c.s);
    a.randomize(31, 0, 1);
    const std::vector<T> g = Random(32).vector<T>(c.n * c.k, -1, 1);
    igd_threads_set(1);
    const Outputs<T> one = forward(head, a);
    const Gradients<T> one_gradient = backward(head, one, g, Order::kNchw, c.s, true, false);
    for (int count : {2, 3, 8}) {
      igd_threads_set(count);
      const Outputs<T> many = forward(head, a);
      identical(name + " logits", many.logits, one.logits);
      identical(name + " soft mask", many.m, one.m);
      const Gradients<T> gradient = backward(head, many, g, Order::kNchw, c.s, true, false);
      identical(name + " gradient", gradient.a.memory, one_gradient.a.memory);
    }
    for (int64_t i = 0; i < c.n; i += 7) {
      Activation<T> single(Order::kNchw, 1, c.u, c.s);
      std::copy(&a.at(i, 0, 0), &a.at(i, 0, 0) + c.u * c.s, single.memory.begin());
      const Outputs<T> alone = forward(head, single);
      const auto row = one.logits.begin() + i * c.k;
      identical(name + " image alone", alone.logits, std::vector<T>(row, row + c.k));
    }
  }
  igd_threads_set(threads);
}

// NaN and infinity reach the logits of their image and of no other.
template <typename T>
void check_not_finite(const std::string& isa) {
  const Case c = {6, 37, 4, 10, 0.01};
  const Head<T> head(c);
  Activation<T> a(Order::kNchw, c.n, c.u, c.s);
  a.randomize(41, 0, 1);
  const Outputs<T> good = forward(head, a);
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  struct Fault {
    const char* name;
    bool in_z;
    T value;
  } faults[] = {{"NaN in a", false, nan},
                {"infinity in a", false, inf},
                {"NaN in z", true, nan},
                {"infinity in z", true, inf}};
  for (const Fault& fault : faults) {
    Activation<T> spoiled = a;
    std::vector<T> z = good.z;
    if (fault.in_z) {
      z[static_cast<size_t>(2 * c.k + 9)] = fault.value;
    } else {
      spoiled.at(2, 36, 1) = fault.value;
    }
    const Outputs<T> o = forward(head, spoiled, fault.in_z ? &z : nullptr);
    bool all_nan = true, others_same = true;
    for (int64_t i = 0; i < c.n; ++i) {
      for (int64_t k = 0; k < c.k; ++k) {
        const size_t at = static_cast<size_t>(i * c.k + k);
        if (i == 2) {
          all_nan = all_nan && std::isnan(o.logits[at]) && std::isnan(o.y[at]);
        } else {
          others_same = others_same && o.logits[at] == good.logits[at];
        }
      }
    }
    expect(all_nan, "head " + isa + ": " + fault.name + " makes the image's logits NaN");
    expect(others_same, "head " + isa + ": " + fault.name + " leaves the other images alone");
  }
  // minus infinity in z is a class that is out, not an error
  std::vector<T> z = good.z;
  z[static_cast<size_t>(2 * c.k + 9)] = -inf;
  const Outputs<T> o = forward(head, a, &z);
  expect(o.y[static_cast<size_t>(2 * c.k + 9)] == 0 && !std::isnan(o.logits[static_cast<size_t>(2 * c.k)]),
         "head " + isa + ": minus infinity in z is weight 0");
  // A NaN gradient is not hidden by masked units.
  std::vector<T> g(static_cast<size_t>(c.n * c.k), T(1));
  g[static_cast<size_t>(3 * c.k)] = nan;
  const Gradients<T> r = backward(head, good, g, Order::kNchw, c.s, false, true, false);
  bool nan_there = true, finite_elsewhere = true;
  for (int64_t i = 0; i < c.n; ++i) {
    for (int64_t u = 0; u < c.u; ++u) {
      (i == 3 ? nan_there : finite_elsewhere) &= (i == 3) == std::isnan(r.a.at(i, u, 0));
    }
  }
  expect(nan_there && finite_elsewhere, "head " + isa + ": a NaN gradient stays in its image");
}

}  // namespace

void test_masked_head() {
  const int threads = igd_threads_get();
  for_each_isa([&](const std::string& isa) {
    igd_threads_set(3);
    for (const Case& c : kCases) {
      for (Order order : kOrders) {
        // The reference is slow: large cases in the two layouts of libtorch only.
        if (c.n * c.u * c.k > 100000 && order != Order::kNchw && order != Order::kChannelsLast) continue;
        check_forward<float>(c, order, isa);
        check_forward<double>(c, order, isa);
        check_backward<float>(c, order, isa);
        check_backward<double>(c, order, isa);
      }
    }
    check_finite_differences(isa);
    check_not_finite<float>(isa);
    check_not_finite<double>(isa);
  });
  igd_threads_set(threads);
}

void test_masked_head_threads() {
  for_each_isa([&](const std::string& isa) {
    check_invariance<float>(isa);
    check_invariance<double>(isa);
  });
}

}  // namespace igd_test
