// A small test harness: checks that count, comparisons that print the worst element, reproducible data, and
// activation tensors in every layout with guarded gaps.
#ifndef IGD_TEST_SUPPORT_H_
#define IGD_TEST_SUPPORT_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "igd/kernels.h"

namespace igd_test {

struct Report {
  long checks = 0;
  long failures = 0;
};
Report& report();

// Counts a check; prints `what` if it does not hold.
bool expect(bool holds, const std::string& what);

// Expects a status and, for failures, that the message contains every one of `parts`.
void expect_status(int status, int expected, const std::string& what,
                   const std::vector<std::string>& parts = {});

inline uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

// Reproducible numbers in [low, high).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(mix(seed)) {}
  uint64_t bits() { return state_ = mix(state_); }
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(bits() >> 11) * 0x1.0p-53;
  }
  template <typename T>
  std::vector<T> vector(int64_t size, double low, double high) {
    std::vector<T> v(static_cast<size_t>(size));
    for (T& x : v) x = static_cast<T>(uniform(low, high));
    return v;
  }

 private:
  uint64_t state_;
};

template <typename T>
constexpr int dtype_of() {
  return std::is_same<T, float>::value ? IGD_FLOAT32 : IGD_FLOAT64;
}
template <typename T>
const char* dtype_name() {
  return std::is_same<T, float>::value ? "float32" : "float64";
}

enum class Order { kNchw, kChannelsLast, kGeneric, kPadded };
inline const char* order_name(Order order) {
  switch (order) {
    case Order::kNchw:
      return "nchw";
    case Order::kChannelsLast:
      return "channels-last";
    case Order::kGeneric:
      return "generic";
    default:
      return "padded";
  }
}
constexpr Order kOrders[] = {Order::kNchw, Order::kChannelsLast, Order::kGeneric, Order::kPadded};

// a[N,U,S] in one of the layouts. Gaps between elements hold NaN: reading one shows in the result, and
// writing one in written().
template <typename T>
struct Activation {
  int64_t n, u, s;
  int64_t stride_n, stride_u, stride_s;
  std::vector<T> memory;

  Activation(Order order, int64_t n_, int64_t u_, int64_t s_) : n(n_), u(u_), s(s_) {
    switch (order) {
      case Order::kNchw:
        stride_s = 1, stride_u = s, stride_n = u * s;
        break;
      case Order::kChannelsLast:
        stride_u = 1, stride_s = u, stride_n = u * s;
        break;
      case Order::kGeneric:  // N innermost, gaps everywhere
        stride_n = 2, stride_s = 2 * n + 1, stride_u = stride_s * s + 3;
        break;
      default:  // kPadded: S contiguous, a gap after every unit and image
        stride_s = 1, stride_u = s + 3, stride_n = stride_u * u + 5;
        break;
    }
    memory.assign(static_cast<size_t>((n - 1) * stride_n + (u - 1) * stride_u + (s - 1) * stride_s + 1),
                  guard());
  }

  static T guard() { return std::numeric_limits<T>::quiet_NaN(); }
  T& at(int64_t i, int64_t j, int64_t q) {
    return memory[static_cast<size_t>(i * stride_n + j * stride_u + q * stride_s)];
  }
  const T& at(int64_t i, int64_t j, int64_t q) const {
    return memory[static_cast<size_t>(i * stride_n + j * stride_u + q * stride_s)];
  }
  void randomize(uint64_t seed, double low, double high) {
    Random random(seed);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < u; ++j) {
        for (int64_t q = 0; q < s; ++q) at(i, j, q) = static_cast<T>(random.uniform(low, high));
      }
    }
  }
  // Elements that are not guards; n*u*s of them if all elements, and no gap, have been written.
  int64_t written() const {
    int64_t count = 0;
    for (T x : memory) count += std::isnan(x) ? 0 : 1;
    return count;
  }
};

// Compares element by element: |actual - expected| <= tolerance * scale[i] (scale empty: max(1, |expected|)).
// NaN matches NaN only. A failure prints the worst index and both values.
template <typename T>
bool close(const std::string& what, const std::vector<T>& actual, const std::vector<long double>& expected,
           const std::vector<long double>& scale, double tolerance) {
  if (!expect(actual.size() == expected.size(), what + ": sizes differ")) return false;
  long double worst = 0;
  size_t worst_index = 0;
  size_t bad = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const long double a = actual[i];
    const long double e = expected[i];
    const long double unit = scale.empty() ? std::fmax(1.0L, std::fabs(e)) : scale[i];
    const long double limit = tolerance * unit + std::numeric_limits<T>::min();
    long double ratio;
    if (std::isnan(a) || std::isnan(e)) {
      ratio = std::isnan(a) && std::isnan(e) ? 0 : std::numeric_limits<long double>::infinity();
    } else {
      ratio = a == e ? 0 : std::fabs(a - e) / limit;
    }
    if (!(ratio <= 1)) ++bad;
    if (!(ratio <= worst)) {
      worst = ratio;
      worst_index = i;
    }
  }
  char text[256] = "";
  if (bad > 0) {
    std::snprintf(text, sizeof(text),
                  ": %zu of %zu wrong, worst at [%zu]: %.17g, expected %.17g (%.3g x limit)", bad,
                  actual.size(), worst_index, static_cast<double>(actual[worst_index]),
                  static_cast<double>(expected[worst_index]), static_cast<double>(worst));
  }
  return expect(bad == 0, what + text);
}

// Compares bit patterns (a NaN equals the same NaN).
template <typename T>
bool identical(const std::string& what, const std::vector<T>& actual, const std::vector<T>& expected) {
  if (!expect(actual.size() == expected.size(), what + ": sizes differ")) return false;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::memcmp(&actual[i], &expected[i], sizeof(T)) != 0) {
      char text[160];
      std::snprintf(text, sizeof(text), ": first difference at [%zu]: %.17g, expected %.17g", i,
                    static_cast<double>(actual[i]), static_cast<double>(expected[i]));
      return expect(false, what + text);
    }
  }
  return expect(true, what);
}

// Runs `body` with every instruction set of this machine, then goes back to the best one.
template <typename Body>
void for_each_isa(const Body& body) {
  for (int isa = 0; isa <= igd_isa_detected(); ++isa) {
    expect_status(igd_isa_force(isa), IGD_OK, "igd_isa_force");
    body(std::string(igd_isa_name(isa)));
  }
  igd_isa_force(igd_isa_detected());
}

void test_api();
void test_isa_environment();
void test_loo_penultimate();
void test_loo_interior();
void test_masked_head();
void test_cdir_score();
void test_kernel_cases();
void test_cuda_emulated();
void test_cuda_traffic();
void test_loo_penultimate_threads();
void test_loo_interior_threads();
void test_masked_head_threads();
void test_net();
void test_defended();
void test_defended_threads();
void test_net_threads();
void test_cdir_score_threads();

}  // namespace igd_test

#endif  // IGD_TEST_SUPPORT_H_
