// Leave-one-out inside the network against direct convolutions in long double.
#include <algorithm>

#include "test_support.h"

namespace igd_test {
namespace {

struct Case {
  int64_t n, h, w, u, o, kernel, stride, padding, groups, pairs;
};

// 1, odd, beside a vector length, the shapes of ResNets; shortcuts (kernel 1, stride 2); groups.
const Case kCases[] = {
    {1, 1, 1, 1, 1, 1, 1, 0, 1, 1},     {1, 3, 3, 2, 3, 3, 1, 1, 1, 3},     {2, 4, 5, 3, 7, 3, 2, 1, 1, 9},
    {3, 8, 8, 5, 15, 3, 1, 1, 1, 17},   {2, 8, 8, 4, 16, 1, 2, 0, 1, 11},   {2, 7, 7, 6, 17, 1, 1, 0, 1, 5},
    {2, 6, 6, 8, 33, 3, 2, 1, 1, 16},   {2, 5, 4, 6, 63, 5, 1, 2, 1, 7},    {2, 8, 8, 9, 64, 3, 2, 1, 1, 18},
    {1, 9, 9, 3, 65, 7, 2, 3, 1, 3},    {2, 6, 6, 8, 24, 3, 1, 1, 4, 16},   {2, 6, 6, 12, 36, 3, 2, 1, 3, 24},
    {1, 5, 5, 10, 10, 3, 1, 1, 10, 10}, {3, 4, 4, 16, 128, 3, 1, 1, 1, 40}, {2, 8, 8, 16, 257, 3, 2, 1, 1, 8},
    {2, 4, 4, 64, 512, 3, 1, 0, 1, 6}};

struct BFloat {
  uint16_t bits;
};

float widen(BFloat x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
float widen(float x) { return x; }
double widen(double x) { return x; }

// The nearest, by trying the three candidates: written apart from the kernel's rounding.
void narrow(long double x, BFloat* out) {
  const float value = static_cast<float>(x);
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  BFloat best = {static_cast<uint16_t>(bits >> 16)};
  for (int step = -1; step <= 1; ++step) {
    const BFloat candidate = {static_cast<uint16_t>((bits >> 16) + static_cast<uint32_t>(step))};
    if (std::fabs(widen(candidate) - x) < std::fabs(widen(best) - x)) best = candidate;
  }
  *out = best;
}
void narrow(long double x, float* out) { *out = static_cast<float>(x); }
void narrow(long double x, double* out) { *out = static_cast<double>(x); }

template <typename T>
struct Type;
template <>
struct Type<float> {
  typedef float Acc;
  static constexpr int kDtype = IGD_FLOAT32;
  static constexpr double kTolerance = 4e-6;
  static const char* name() { return "float32"; }
};
template <>
struct Type<double> {
  typedef double Acc;
  static constexpr int kDtype = IGD_FLOAT64;
  static constexpr double kTolerance = 1e-14;
  static const char* name() { return "float64"; }
};
template <>
struct Type<BFloat> {
  typedef float Acc;
  static constexpr int kDtype = IGD_BFLOAT16;
  static constexpr double kTolerance = 4.1e-3;  // one rounding to 8 bits
  static const char* name() { return "bfloat16"; }
};

template <typename T>
std::vector<T> values(Random* random, int64_t size, bool sparse) {
  std::vector<T> v(static_cast<size_t>(size));
  for (T& x : v) {
    const double value = random->uniform(-1, 1);
    narrow(sparse && value < 0 ? 0.0L : value, &x);
  }
  return v;
}

// A convolution's operands and the pairs of a block.
template <typename T>
struct Problem {
  typedef typename Type<T>::Acc Acc;
  Case c;
  int64_t oh, ow;
  std::vector<T> base, input, removed;
  std::vector<Acc> weight;
  std::vector<int64_t> units, images;

  Problem(const Case& c_, uint64_t seed) : c(c_) {
    oh = (c.h + 2 * c.padding - c.kernel) / c.stride + 1;
    ow = (c.w + 2 * c.padding - c.kernel) / c.stride + 1;
    Random random(seed);
    base = values<T>(&random, c.n * oh * ow * c.o, false);
    input = values<T>(&random, c.n * c.h * c.w * c.u, true);
    removed = values<T>(&random, c.u, false);
    weight = random.vector<Acc>(c.u * c.kernel * c.kernel * (c.o / c.groups), -1, 1);
    for (int64_t p = 0; p < c.pairs; ++p) {
      units.push_back(static_cast<int64_t>(random.bits() % static_cast<uint64_t>(c.u)));
      images.push_back(static_cast<int64_t>(random.bits() % static_cast<uint64_t>(c.n)));
    }
  }
  int64_t size() const { return oh * ow * c.o; }

  std::vector<T> run(bool with_removed, int relu) const {
    std::vector<T> out(static_cast<size_t>(c.pairs * size()));
    std::memset(out.data(), 0xff, out.size() * sizeof(T));  // NaN in every type
    expect_status(igd_loo_ablate_convolution(Type<T>::kDtype, base.data(), c.n, oh, ow, c.o, input.data(),
                                             c.h, c.w, c.u, with_removed ? removed.data() : nullptr,
                                             weight.data(), c.kernel, c.stride, c.padding, c.groups, relu,
                                             units.data(), images.data(), c.pairs, out.data()),
                  IGD_OK, "ablate_convolution");
    return out;
  }
};

template <typename T>
std::vector<double> widened(const std::vector<T>& v) {
  std::vector<double> out;
  for (const T& x : v) out.push_back(widen(x));
  return out;
}

template <typename T>
void check_case(const Case& c, const std::string& isa) {
  char name[160];
  std::snprintf(name, sizeof(name), "ablate %s %s N=%d %dx%d U=%d O=%d k=%d s=%d p=%d g=%d", isa.c_str(),
                Type<T>::name(), static_cast<int>(c.n), static_cast<int>(c.h), static_cast<int>(c.w),
                static_cast<int>(c.u), static_cast<int>(c.o), static_cast<int>(c.kernel),
                static_cast<int>(c.stride), static_cast<int>(c.padding), static_cast<int>(c.groups));
  const Problem<T> problem(c, static_cast<uint64_t>(c.o * 100 + c.u));
  const int64_t outputs = c.o / c.groups, inputs = c.u / c.groups;
  for (int mode = 0; mode < 4; ++mode) {
    const bool with_removed = (mode & 1) != 0;
    const int relu = mode >> 1;
    std::vector<long double> expected, scale;
    for (int64_t p = 0; p < c.pairs; ++p) {
      const int64_t unit = problem.units[static_cast<size_t>(p)],
                    image = problem.images[static_cast<size_t>(p)];
      for (int64_t y = 0; y < problem.oh; ++y) {
        for (int64_t x = 0; x < problem.ow; ++x) {
          for (int64_t o = 0; o < c.o; ++o) {
            long double sum = widen(
                problem.base[static_cast<size_t>(((image * problem.oh + y) * problem.ow + x) * c.o + o)]);
            long double magnitude = std::fabs(sum);
            if (o / outputs == unit / inputs) {
              for (int64_t t = 0; t < c.kernel * c.kernel; ++t) {
                const int64_t row = y * c.stride + t / c.kernel - c.padding;
                const int64_t column = x * c.stride + t % c.kernel - c.padding;
                if (row < 0 || row >= c.h || column < 0 || column >= c.w) continue;
                const long double value = widen(
                    problem.input[static_cast<size_t>(((image * c.h + row) * c.w + column) * c.u + unit)]);
                const long double zero =
                    with_removed ? static_cast<long double>(widen(problem.removed[static_cast<size_t>(unit)]))
                                 : 0;
                const long double w = problem.weight[static_cast<size_t>(
                    (unit * c.kernel * c.kernel + t) * outputs + o % outputs)];
                sum += (zero - value) * w;
                magnitude += std::fabs((zero - value) * w);
              }
            }
            expected.push_back(relu != 0 && sum < 0 ? 0 : sum);
            scale.push_back(magnitude);
          }
        }
      }
    }
    close(std::string(name) + (relu ? " relu" : "") + (with_removed ? " removed" : ""),
          widened(problem.run(with_removed, relu)), expected, scale, Type<T>::kTolerance);
  }
}

// A pair's values depend on its unit and image alone: not on the block, nor on the threads.
template <typename T>
void check_threads(const std::string& isa) {
  const Case c = {4, 8, 8, 16, 128, 3, 1, 1, 1, 96};
  const Problem<T> problem(c, 3);
  igd_threads_set(1);
  const std::vector<double> one = widened(problem.run(true, 1));
  for (int threads : {2, 3, 8}) {
    igd_threads_set(threads);
    identical("ablate " + isa + " " + Type<T>::name() + " with " + std::to_string(threads) + " threads",
              widened(problem.run(true, 1)), one);
  }
  Problem<T> single = problem;
  single.c.pairs = 1;
  for (size_t p = 0; p < 5; ++p) {
    single.units = {problem.units[p]};
    single.images = {problem.images[p]};
    const std::vector<double> alone = widened(single.run(true, 1));
    identical("ablate " + isa + " alone", alone,
              std::vector<double>(one.begin() + static_cast<int64_t>(p) * problem.size(),
                                  one.begin() + static_cast<int64_t>(p + 1) * problem.size()));
  }
}

template <typename T>
void check_identity() {
  const int64_t n = 3, s = 10, u = 7, pairs = 40;
  Random random(9);
  const std::vector<T> a = values<T>(&random, n * s * u, false);
  std::vector<int64_t> units, images;
  for (int64_t p = 0; p < pairs; ++p) {
    units.push_back(p % u);
    images.push_back(p * 2 % n);
  }
  std::vector<T> out(static_cast<size_t>(pairs * s * u));
  expect_status(igd_loo_ablate_identity(Type<T>::kDtype, a.data(), n, s, u, units.data(), images.data(),
                                        pairs, out.data()),
                IGD_OK, "ablate_identity");
  std::vector<double> expected;
  for (int64_t p = 0; p < pairs; ++p) {
    for (int64_t i = 0; i < s * u; ++i) {
      const bool zeroed = i % u == units[static_cast<size_t>(p)];
      expected.push_back(zeroed ? 0.0
                                : widen(a[static_cast<size_t>(images[static_cast<size_t>(p)] * s * u + i)]));
    }
  }
  identical(std::string("ablate identity ") + Type<T>::name(), widened(out), expected);
}

template <typename T>
void check_differences() {
  const std::vector<T> logits = {1, 2, 3, -4, 5, 6}, base = {T(0.5), 1, 2, T(-1.5)};
  const std::vector<int64_t> labels = {1, 0}, images = {0, 1, 0};
  std::vector<double> out(3, -1);
  expect_status(igd_loo_differences(dtype_of<T>(), logits.data(), 2, base.data(), labels.data(), 2,
                                    images.data(), 3, 0, out.data()),
                IGD_OK, "differences");
  identical("differences", out, {1.0, 1.0, 5.0});
  igd_loo_differences(dtype_of<T>(), logits.data(), 2, base.data(), labels.data(), 2, images.data(), 3, 1,
                      out.data());
  identical("signed differences", out, {1.0, 1.0, 5.0});
  std::vector<T> lower = logits;
  lower[1] = -2;
  igd_loo_differences(dtype_of<T>(), lower.data(), 2, base.data(), labels.data(), 2, images.data(), 3, 1,
                      out.data());
  identical("a lower logit", out, {-3.0, 1.0, 5.0});
  lower[5] = std::numeric_limits<T>::quiet_NaN();
  expect_status(igd_loo_differences(dtype_of<T>(), lower.data(), 2, base.data(), labels.data(), 2,
                                    images.data(), 3, 0, out.data()),
                IGD_INVALID_ARGUMENT, "differences of a NaN", {"pair 2", "image 0"});
  identical("nothing written", out, {-3.0, 1.0, 5.0});
}

// ReLU keeps a NaN; so does the store in bfloat16.
template <typename T>
void check_nan() {
  const Case c = {1, 2, 2, 1, 3, 1, 1, 0, 1, 1};
  Problem<T> problem(c, 5);
  narrow(std::numeric_limits<long double>::quiet_NaN(), &problem.base[4]);
  if (sizeof(T) == 2) std::memset(&problem.base[4], 0xff, sizeof(T));
  const std::vector<double> out = widened(problem.run(false, 1));
  for (size_t i = 0; i < out.size(); ++i) {
    expect(std::isnan(out[i]) == (i == 4), std::string("ablate NaN ") + Type<T>::name());
  }
}

void check_refusals() {
  const Case c = {2, 4, 4, 4, 8, 3, 1, 1, 2, 3};
  const Problem<float> good(c, 1);
  std::vector<float> out(static_cast<size_t>(c.pairs * good.size()), 7.0f);
  const auto call = [&](int dtype, int64_t oh, int64_t kernel, int64_t padding, int64_t groups,
                        const std::vector<int64_t>& units, const std::vector<int64_t>& images, void* target) {
    return igd_loo_ablate_convolution(dtype, good.base.data(), c.n, oh, 4, c.o, good.input.data(), c.h, c.w,
                                      c.u, nullptr, good.weight.data(), kernel, 1, padding, groups, 0,
                                      units.data(), images.data(), c.pairs, target);
  };
  const std::vector<int64_t> zeros(3, 0);
  expect_status(call(3, 4, 3, 1, 2, zeros, zeros, out.data()), IGD_INVALID_ARGUMENT, "dtype",
                {"bfloat16", "3"});
  expect_status(call(0, 5, 3, 1, 2, zeros, zeros, out.data()), IGD_INVALID_ARGUMENT, "oh",
                {"4 x 4", "5 x 4"});
  expect_status(call(0, 4, 9, 4, 2, zeros, zeros, out.data()), IGD_UNSUPPORTED, "kernel", {"1 to 7", "9"});
  expect_status(call(0, 4, 3, 3, 2, zeros, zeros, out.data()), IGD_INVALID_ARGUMENT, "padding", {"padding"});
  expect_status(call(0, 4, 3, 1, 3, zeros, zeros, out.data()), IGD_INVALID_ARGUMENT, "groups",
                {"divisor", "3"});
  expect_status(call(0, 4, 3, 1, 2, {0, 4, 0}, zeros, out.data()), IGD_INVALID_ARGUMENT, "units",
                {"units[1]", "0 to 3", "4"});
  expect_status(call(0, 4, 3, 1, 2, zeros, {0, 0, -1}, out.data()), IGD_INVALID_ARGUMENT, "images",
                {"images[2]", "-1"});
  expect_status(call(0, 4, 3, 1, 2, zeros, zeros, nullptr), IGD_INVALID_ARGUMENT, "out", {"out", "NULL"});
  expect(std::count(out.begin(), out.end(), 7.0f) == static_cast<int64_t>(out.size()),
         "refused calls write nothing");
}

}  // namespace

void test_loo_interior() {
  const int threads = igd_threads_get();
  for_each_isa([&](const std::string& isa) {
    igd_threads_set(3);
    for (const Case& c : kCases) {
      check_case<float>(c, isa);
      check_case<double>(c, isa);
      check_case<BFloat>(c, isa);
    }
    check_nan<float>();
    check_nan<double>();
    check_nan<BFloat>();
  });
  check_identity<float>();
  check_identity<double>();
  check_identity<BFloat>();
  check_differences<float>();
  check_differences<double>();
  check_refusals();
  igd_threads_set(threads);
}

void test_loo_interior_threads() {
  const int threads = igd_threads_get();
  for_each_isa([&](const std::string& isa) {
    check_threads<float>(isa);
    check_threads<double>(isa);
    check_threads<BFloat>(isa);
  });
  igd_threads_set(threads);
}

}  // namespace igd_test
