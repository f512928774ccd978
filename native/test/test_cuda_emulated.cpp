// The CUDA launchers and kernel bodies, compiled for the CPU by cuda_emulation.h, against the CPU kernels.
#include "igd/kernels_cuda.h"
#include "test_support.h"

namespace igd_test {
namespace {

struct Case {
  int64_t n, u, s, k;
  double temperature;
};
const Case kCases[] = {{1, 1, 1, 1, 1.0},    {1, 3, 7, 2, 0.5},   {3, 31, 16, 10, 0.01},
                       {2, 33, 33, 9, 2.0},  {5, 257, 4, 7, 0.3}, {2, 300, 49, 300, 5.0},
                       {9, 64, 64, 10, 0.01}};

// Expected from the CPU kernel, tolerance relative to the largest value (sums run in another order).
template <typename T>
void same(const std::string& what, const std::vector<T>& actual, const std::vector<T>& cpu,
          double tolerance) {
  std::vector<long double> expected(cpu.begin(), cpu.end());
  long double largest = 0;
  for (long double x : expected) largest = std::fmax(largest, std::fabs(x));
  close(what, actual, expected, std::vector<long double>(expected.size(), largest), tolerance);
}

std::vector<char> workspace(int64_t bytes) {
  expect(bytes > 0, "workspace size");
  return std::vector<char>(static_cast<size_t>(bytes), '\x7f');
}

template <typename T>
void check(const Case& c, Order order) {
  char text[160];
  std::snprintf(text, sizeof(text), "cuda %s %s N=%d U=%d S=%d K=%d", dtype_name<T>(), order_name(order),
                static_cast<int>(c.n), static_cast<int>(c.u), static_cast<int>(c.s), static_cast<int>(c.k));
  const std::string name = text;
  const double tolerance = std::numeric_limits<T>::epsilon() * 64 * (1 + 0.1 / c.temperature);
  const int dtype = dtype_of<T>();
  Activation<T> a(order, c.n, c.u, c.s);
  a.randomize(static_cast<uint64_t>(c.n + c.u), -0.2, 1);
  Random random(3);
  const std::vector<T> weight = random.vector<T>(c.k * c.u, -0.5, 0.5), bias = random.vector<T>(c.k, -1, 1);
  const std::vector<T> g = random.vector<T>(c.n * c.k, -1, 1);
  std::vector<uint8_t> masks(static_cast<size_t>(c.k * c.u));
  for (uint8_t& m : masks) m = static_cast<uint8_t>(random.bits() % 4 == 0 ? 1 + random.bits() % 2 : 0);
  std::vector<int64_t> labels(static_cast<size_t>(c.n));
  for (int64_t& label : labels) label = static_cast<int64_t>(random.bits() % static_cast<uint64_t>(c.k));

  // leave-one-out
  for (int signed_difference = 0; signed_difference < 2; ++signed_difference) {
    std::vector<double> sums(static_cast<size_t>(c.k * c.u)), cpu_sums(sums);
    std::vector<int64_t> counts(static_cast<size_t>(c.k)), cpu_counts(counts);
    int64_t bad_label = 0;
    std::vector<char> w = workspace(igd_loo_penultimate_workspace_cuda(c.n, c.u));
    expect(igd_loo_penultimate_accumulate_cuda(
               dtype, a.memory.data(), a.stride_n, a.stride_u, a.stride_s, c.n, c.u, c.s, labels.data(), c.k,
               signed_difference, sums.data(), counts.data(), &bad_label, w.data(), nullptr) == IGD_OK,
           name + ": " + igd_last_error_cuda());
    igd_loo_penultimate_accumulate(dtype, a.memory.data(), a.stride_n, a.stride_u, a.stride_s, c.n, c.u, c.s,
                                   labels.data(), c.k, signed_difference, cpu_sums.data(), cpu_counts.data());
    same(name + " sums", sums, cpu_sums, 1e-14);
    expect(counts == cpu_counts && bad_label == 0, name + " counts");
    for (int normalization = 0; normalization < 2; ++normalization) {
      std::vector<double> importance(sums.size()), cpu_importance(sums.size());
      expect(igd_loo_penultimate_finish_cuda(dtype, weight.data(), c.k, c.u, cpu_sums.data(),
                                             cpu_counts.data(), signed_difference, normalization,
                                             importance.data(), nullptr) == IGD_OK,
             name + ": " + igd_last_error_cuda());
      igd_loo_penultimate_finish(dtype, weight.data(), c.k, c.u, cpu_sums.data(), cpu_counts.data(),
                                 signed_difference, normalization, cpu_importance.data());
      same(name + " importance", importance, cpu_importance, 1e-15);
    }
    // A bad label: nothing is added, and its place is told.
    const std::vector<double> before = sums;
    labels.back() = c.k;
    expect(igd_loo_penultimate_accumulate_cuda(
               dtype, a.memory.data(), a.stride_n, a.stride_u, a.stride_s, c.n, c.u, c.s, labels.data(), c.k,
               signed_difference, sums.data(), counts.data(), &bad_label, w.data(), nullptr) == IGD_OK,
           name + ": " + igd_last_error_cuda());
    expect(bad_label == c.n && sums == before && counts == cpu_counts, name + " bad label");
    labels.back() = 0;
  }

  // masked head
  std::vector<char> w = workspace(igd_masked_head_forward_workspace_cuda(dtype, c.n, c.u, c.k));
  const size_t nu = static_cast<size_t>(c.n * c.u), nk = static_cast<size_t>(c.n * c.k);
  std::vector<T> pooled(nu), z(nk), y(nk), m(nu), logits(nk), logits_only(nk);
  std::vector<T> cpu_pooled(nu), cpu_z(nk), cpu_y(nk), cpu_m(nu), cpu_logits(nk);
  const auto forward = [&](const T* z_in, T* z_out, T* y_out, T* m_out, T* out) {
    expect(
        igd_masked_head_forward_cuda(dtype, a.memory.data(), a.stride_n, a.stride_u, a.stride_s, c.n, c.u,
                                     c.s, weight.data(), bias.data(), c.k, masks.data(), c.temperature, z_in,
                                     pooled.data(), z_out, y_out, m_out, out, w.data(), nullptr) == IGD_OK,
        name + ": " + igd_last_error_cuda());
  };
  forward(nullptr, z.data(), y.data(), m.data(), logits.data());
  igd_masked_head_forward(dtype, a.memory.data(), a.stride_n, a.stride_u, a.stride_s, c.n, c.u, c.s,
                          weight.data(), bias.data(), c.k, masks.data(), c.temperature, nullptr,
                          cpu_pooled.data(), cpu_z.data(), cpu_y.data(), cpu_m.data(), cpu_logits.data());
  same(name + " pooled", pooled, cpu_pooled, tolerance);
  same(name + " z", z, cpu_z, tolerance);
  same(name + " y", y, cpu_y, 10 * tolerance);
  same(name + " m", m, cpu_m, 10 * tolerance);
  same(name + " logits", logits, cpu_logits, 10 * tolerance);
  forward(nullptr, nullptr, nullptr, nullptr, logits_only.data());
  identical(name + " logits only", logits_only, logits);
  std::vector<T> z_copy(nk);
  forward(z.data(), z_copy.data(), nullptr, nullptr, logits_only.data());
  identical(name + " z given", logits_only, logits);
  identical(name + " z handed on", z_copy, z);
  std::vector<T> nan_z = z;
  nan_z.back() = std::numeric_limits<T>::quiet_NaN();
  forward(nan_z.data(), nullptr, nullptr, nullptr, logits_only.data());
  expect(std::isnan(logits_only.back()) && std::isnan(logits_only[nk - static_cast<size_t>(c.k)]),
         name + ": a NaN in z reaches the logits");
  expect(c.n == 1 || logits_only[0] == logits[0], name + ": and no other image");

  w = workspace(igd_masked_head_backward_workspace_cuda(dtype, c.n, c.u, c.k));
  for (int own = 0; own < 2; ++own) {
    for (int with_mask = 0; with_mask < 2; ++with_mask) {
      Activation<T> grad(order, c.n, c.u, c.s), cpu_grad(order, c.n, c.u, c.s);
      std::vector<T> dz(nk), cpu_dz(nk);
      const T* mask = with_mask ? cpu_m.data() : nullptr;
      expect(igd_masked_head_backward_cuda(
                 dtype, g.data(), cpu_pooled.data(), cpu_y.data(), mask, weight.data(), masks.data(),
                 c.temperature, c.n, c.u, c.s, c.k, own, grad.memory.data(), grad.stride_n, grad.stride_u,
                 grad.stride_s, own && with_mask ? nullptr : dz.data(), w.data(), nullptr) == IGD_OK,
             name + ": " + igd_last_error_cuda());
      igd_masked_head_backward(dtype, g.data(), cpu_pooled.data(), cpu_y.data(), mask, weight.data(),
                               masks.data(), c.temperature, c.n, c.u, c.s, c.k, own, cpu_grad.memory.data(),
                               grad.stride_n, grad.stride_u, grad.stride_s, cpu_dz.data());
      expect(grad.written() == c.n * c.u * c.s, name + ": backward writes every element and no gap");
      std::vector<T> flat, cpu_flat;
      for (int64_t i = 0; i < c.n; ++i) {
        for (int64_t u = 0; u < c.u; ++u) {
          for (int64_t s = 0; s < c.s; ++s) {
            flat.push_back(grad.at(i, u, s));
            cpu_flat.push_back(cpu_grad.at(i, u, s));
          }
        }
      }
      // dz is a small difference of large numbers: compare on the scale of 1/temperature.
      flat.push_back(static_cast<T>(1 / c.temperature));
      cpu_flat.push_back(static_cast<T>(1 / c.temperature));
      same(name + " gradient", flat, cpu_flat, 10 * tolerance);
      if (!(own && with_mask)) {
        dz.push_back(static_cast<T>(1 / c.temperature));
        cpu_dz.push_back(static_cast<T>(1 / c.temperature));
        same(name + " dz", dz, cpu_dz, 10 * tolerance);
      }
    }
  }
}

}  // namespace

void test_cuda_emulated() {
  for (const Case& c : kCases) {
    for (Order order : kOrders) {
      check<float>(c, order);
      check<double>(c, order);
    }
  }
  expect(igd_masked_head_forward_workspace_cuda(IGD_FLOAT32, 0, 1, 1) == -1, "workspace of nothing");
  expect(std::string(igd_last_error_cuda()).find("n: expected") != std::string::npos, "and why");
  expect(igd_loo_penultimate_workspace_cuda(int64_t(1) << 62, 4) == -1, "workspace overflow");
  expect(igd_masked_head_forward_cuda(IGD_FLOAT32, nullptr, 1, 1, 1, 1, 1, 1, nullptr, nullptr, 1, nullptr,
                                      0.01, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                      nullptr) == IGD_INVALID_ARGUMENT,
         "null is refused");
}

}  // namespace igd_test
