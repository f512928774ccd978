// The C API: checks, then drivers that share the stages of kernel_table.h among threads.
#include "igd/kernels.h"

#include "checks.h"
#include "kernel_table.h"
#include "runtime.h"

namespace igd {
namespace {

// Rough rates of one thread, only used to decide whether threads pay.
constexpr double kReadBytesPerNanosecond = 16;
constexpr double kWriteBytesPerNanosecond = 8;
constexpr double kProductsPerNanosecond = 12;

// Classes per task where one image's classes are shared.
constexpr int64_t kClassBlock = 8;
// Activations of one tile of images, bounds for its scratch memory.
constexpr int64_t kTileBytes = 256 * 1024;

int64_t blocks(int64_t size, int64_t block) { return (size + block - 1) / block; }
int64_t at_most(int64_t value, int64_t limit) { return value < limit ? value : limit; }
int64_t at_least(int64_t value, int64_t limit) { return value > limit ? value : limit; }

// ---- leave-one-out ----

template <typename T>
void loo_accumulate(const void* a, Strides stride, int64_t n, int64_t u, int64_t s, const int64_t* labels,
                    bool signed_difference, double* class_sums) {
  const KernelTable<T>& table = kernels<T>();
  const double bytes = static_cast<double>(n) * static_cast<double>(u) * static_cast<double>(s) * sizeof(T);
  parallel(workers_for(bytes / kReadBytesPerNanosecond), blocks(u, kUnitBlock),
           [&](int64_t begin, int64_t end, int) {
             table.loo_accumulate(static_cast<const T*>(a), stride, n, begin * kUnitBlock,
                                  at_most(end * kUnitBlock, u), s, labels, signed_difference, class_sums, u);
           });
}

template <typename T>
void loo_finish(const void* weight, int64_t k, int64_t u, const double* class_sums,
                const int64_t* class_counts, bool signed_difference, bool class_mean, int64_t total,
                double* importance) {
  const KernelTable<T>& table = kernels<T>();
  parallel(workers_for(static_cast<double>(k) * static_cast<double>(u)), blocks(u, kUnitBlock),
           [&](int64_t begin, int64_t end, int) {
             table.loo_finish(static_cast<const T*>(weight), k, u, begin * kUnitBlock,
                              at_most(end * kUnitBlock, u), class_sums, class_counts, signed_difference,
                              class_mean, total, importance);
           });
}

// ---- masked head ----

// Contiguous parts of one scratch block, each aligned to 64 bytes.
template <typename T>
class Layout {
 public:
  // Reserves `elements` elements; returns their offset in elements.
  int64_t reserve(int64_t elements) {
    constexpr int64_t kAlign = 64 / sizeof(T);
    const int64_t offset = size_;
    size_ += blocks(elements, kAlign) * kAlign;
    return offset;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

// How the images are shared: whole images per thread (`tile` at a time), or each image's units and classes.
struct Plan {
  int workers;
  bool by_image;
  int64_t tile;   // images that go through the stages together
  int64_t group;  // images per task
};

template <typename T>
Plan plan(double nanoseconds, int64_t n, int64_t u) {
  Plan p;
  p.workers = workers_for(nanoseconds);
  p.by_image = p.workers == 1 || n >= 2 * p.workers;
  p.group = n >= 8 * p.workers ? 4 : 1;
  const int64_t fit = kTileBytes / (u * static_cast<int64_t>(sizeof(T)));
  p.tile = p.by_image ? at_most(at_least(fit / 4 * 4, 4), 64) : n;
  return p;
}

template <typename T>
struct Forward {
  const T* a;
  Strides stride;
  int64_t n, u, s;
  const T* weight;
  const T* bias;
  int64_t k;
  const uint8_t* masks;
  double temperature;
  const T* first_logits_in;
  T* pooled;
  T* first_logits;
  T* soft_weights;
  T* soft_mask;
  T* logits;
};

template <typename T>
igd_status forward(const Forward<T>& f) {
  const KernelTable<T>& table = kernels<T>();
  const int64_t n = f.n, u = f.u, k = f.k;
  const double products = static_cast<double>(n) * static_cast<double>(u) * static_cast<double>(k);
  const double bytes = static_cast<double>(n) * static_cast<double>(u) * static_cast<double>(f.s) * sizeof(T);
  const Plan p = plan<T>(bytes / kReadBytesPerNanosecond + 2 * products / kProductsPerNanosecond, n, u);
  const int64_t tile = at_most(p.tile, n);

  const bool own = f.first_logits_in == nullptr;
  Layout<T> layout;
  const int64_t z_at = own && f.first_logits == nullptr ? layout.reserve(tile * k) : -1;
  const int64_t y_at = f.soft_weights == nullptr ? layout.reserve(tile * k) : -1;
  const int64_t q_at = layout.reserve(tile * u);
  const int64_t slots = p.by_image ? p.workers : 1;
  T* memory = static_cast<T*>(scratch(static_cast<size_t>(layout.size() * slots) * sizeof(T)));
  if (memory == nullptr) {
    return fail(IGD_OUT_OF_MEMORY, "igd_masked_head_forward: no memory for %lld bytes of scratch; free some",
                static_cast<long long>(layout.size() * slots * static_cast<int64_t>(sizeof(T))));
  }

  // The arrays of the tile of images that starts at i0; worker-owned scratch where the caller wants none.
  struct Rows {
    const T* z_in;
    T *z, *y, *m, *q, *pooled, *logits;
  };
  const auto rows = [&](int64_t i0, int worker) {
    T* own_memory = memory + worker * layout.size();
    Rows r;
    r.z_in = own ? nullptr : f.first_logits_in + i0 * k;
    r.z = f.first_logits != nullptr ? f.first_logits + i0 * k : own ? own_memory + z_at : nullptr;
    r.y = f.soft_weights != nullptr ? f.soft_weights + i0 * k : own_memory + y_at;
    r.q = own_memory + q_at;
    r.m = f.soft_mask != nullptr ? f.soft_mask + i0 * u : r.q;
    r.pooled = f.pooled + i0 * u;
    r.logits = f.logits + i0 * k;
    return r;
  };
  const auto softmax = [&](const Rows& r, int64_t count) {
    if (!own && r.z != nullptr) {
      for (int64_t j = 0; j < count * k; ++j) r.z[j] = r.z_in[j];
    }
    table.softmax(own ? r.z : r.z_in, count, k, f.temperature, r.y);
  };

  if (p.by_image) {
    parallel(p.workers, blocks(n, p.group), [&](int64_t begin, int64_t end, int worker) {
      const int64_t last = at_most(end * p.group, n);
      for (int64_t i = begin * p.group; i < last; i += tile) {
        const int64_t count = at_most(tile, last - i);
        const Rows r = rows(i, worker);
        table.pool(f.a + i * f.stride.n, f.stride, count, 0, u, f.s, r.pooled, u);
        if (own) table.linear(r.pooled, f.weight, f.bias, count, 0, k, u, r.z, k);
        softmax(r, count);
        table.mix_masks(r.y, f.masks, count, k, 0, u, u, r.m);
        table.multiply(r.m, r.pooled, count, 0, u, u, r.q);
        table.linear(r.q, f.weight, f.bias, count, 0, k, u, r.logits, k);
      }
    });
  } else {
    const Rows r = rows(0, 0);
    const int64_t unit_tasks = blocks(u, kUnitBlock);
    const int64_t class_tasks = blocks(k, kClassBlock);
    parallel(p.workers, unit_tasks, [&](int64_t begin, int64_t end, int) {
      table.pool(f.a, f.stride, n, begin * kUnitBlock, at_most(end * kUnitBlock, u), f.s, r.pooled, u);
    });
    if (own) {
      parallel(p.workers, class_tasks, [&](int64_t begin, int64_t end, int) {
        table.linear(r.pooled, f.weight, f.bias, n, begin * kClassBlock, at_most(end * kClassBlock, k), u,
                     r.z, k);
      });
    }
    softmax(r, n);
    parallel(p.workers, unit_tasks, [&](int64_t begin, int64_t end, int) {
      const int64_t u0 = begin * kUnitBlock;
      const int64_t u1 = at_most(end * kUnitBlock, u);
      table.mix_masks(r.y, f.masks, n, k, u0, u1, u, r.m);
      table.multiply(r.m, r.pooled, n, u0, u1, u, r.q);
    });
    parallel(p.workers, class_tasks, [&](int64_t begin, int64_t end, int) {
      table.linear(r.q, f.weight, f.bias, n, begin * kClassBlock, at_most(end * kClassBlock, k), u, r.logits,
                   k);
    });
  }
  return IGD_OK;
}

template <typename T>
struct Backward {
  const T* grad_logits;
  const T* pooled;
  const T* soft_weights;
  const T* soft_mask;
  const T* weight;
  const uint8_t* masks;
  double temperature;
  int64_t n, u, s, k;
  bool own_first_logits;
  T* grad_a;
  Strides stride;
  T* grad_first_logits;
};

template <typename T>
igd_status backward(const Backward<T>& b) {
  const KernelTable<T>& table = kernels<T>();
  const int64_t n = b.n, u = b.u, k = b.k;
  const double products = static_cast<double>(n) * static_cast<double>(u) * static_cast<double>(k);
  const double bytes = static_cast<double>(n) * static_cast<double>(u) * static_cast<double>(b.s) * sizeof(T);
  const Plan p = plan<T>(bytes / kWriteBytesPerNanosecond + products / kProductsPerNanosecond, n, u);
  const int64_t tile = at_most(p.tile, n);

  Layout<T> layout;
  const int64_t dp_at = layout.reserve(tile * u);
  const int64_t dm_at = layout.reserve(tile * u);
  const int64_t m_at = b.soft_mask == nullptr ? layout.reserve(tile * u) : -1;
  const int64_t dz_at = b.grad_first_logits == nullptr ? layout.reserve(tile * k) : -1;
  const int64_t slots = p.by_image ? p.workers : 1;
  T* memory = static_cast<T*>(scratch(static_cast<size_t>(layout.size() * slots) * sizeof(T)));
  if (memory == nullptr) {
    return fail(IGD_OUT_OF_MEMORY, "igd_masked_head_backward: no memory for %lld bytes of scratch; free some",
                static_cast<long long>(layout.size() * slots * static_cast<int64_t>(sizeof(T))));
  }

  // The three stages for `count` images from i0 on.
  struct Rows {
    const T *g, *pooled, *y;
    T *dp, *dm, *m, *dz, *grad_a;
  };
  const auto rows = [&](int64_t i0, int worker) {
    T* own_memory = memory + worker * layout.size();
    Rows r;
    r.g = b.grad_logits + i0 * k;
    r.pooled = b.pooled + i0 * u;
    r.y = b.soft_weights + i0 * k;
    r.dp = own_memory + dp_at;
    r.dm = own_memory + dm_at;
    r.m = b.soft_mask == nullptr ? own_memory + m_at : nullptr;
    r.dz = b.grad_first_logits == nullptr ? own_memory + dz_at : b.grad_first_logits + i0 * k;
    r.grad_a = b.grad_a + i0 * b.stride.n;
    return r;
  };
  // dq = g W; dm = p.dq; dp = m.dq
  const auto through_classifier = [&](const Rows& r, int64_t i0, int64_t count, int64_t u0, int64_t u1) {
    table.combine(r.g, b.weight, count, k, u0, u1, u, r.dp);
    if (r.m != nullptr) table.mix_masks(r.y, b.masks, count, k, u0, u1, u, r.m);
    const T* m = r.m != nullptr ? r.m : b.soft_mask + i0 * u;
    table.multiply(r.pooled, r.dp, count, u0, u1, u, r.dm);
    table.multiply(m, r.dp, count, u0, u1, u, r.dp);
  };
  // dp += dz W; da = dp / S
  const auto to_activations = [&](const Rows& r, int64_t count, int64_t u0, int64_t u1) {
    if (b.own_first_logits) table.combine_sparse_add(r.dz, b.weight, count, k, u0, u1, u, r.dp);
    table.spread(r.dp, count, u0, u1, b.s, u, r.grad_a, b.stride);
  };

  if (p.by_image) {
    parallel(p.workers, blocks(n, p.group), [&](int64_t begin, int64_t end, int worker) {
      const int64_t last = at_most(end * p.group, n);
      for (int64_t i = begin * p.group; i < last; i += tile) {
        const int64_t count = at_most(tile, last - i);
        const Rows r = rows(i, worker);
        through_classifier(r, i, count, 0, u);
        table.mask_dots(r.dm, b.masks, r.y, count, 0, k, u, r.dz, k);
        table.softmax_backward(r.y, r.dz, count, k, b.temperature, r.dz);
        to_activations(r, count, 0, u);
      }
    });
  } else {
    const Rows r = rows(0, 0);
    const int64_t unit_tasks = blocks(u, kUnitBlock);
    parallel(p.workers, unit_tasks, [&](int64_t begin, int64_t end, int) {
      through_classifier(r, 0, n, begin * kUnitBlock, at_most(end * kUnitBlock, u));
    });
    parallel(p.workers, blocks(k, kClassBlock), [&](int64_t begin, int64_t end, int) {
      table.mask_dots(r.dm, b.masks, r.y, n, begin * kClassBlock, at_most(end * kClassBlock, k), u, r.dz, k);
    });
    table.softmax_backward(r.y, r.dz, n, k, b.temperature, r.dz);
    parallel(p.workers, unit_tasks, [&](int64_t begin, int64_t end, int) {
      to_activations(r, n, begin * kUnitBlock, at_most(end * kUnitBlock, u));
    });
  }
  return IGD_OK;
}

int64_t size_of(int dtype) { return dtype == IGD_FLOAT32 ? 4 : 8; }

}  // namespace
}  // namespace igd

using igd::Checks;
using igd::Strides;

extern "C" {

igd_status igd_loo_penultimate_accumulate(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                          int64_t stride_s, int64_t n, int64_t u, int64_t s,
                                          const int64_t* labels, int64_t k, int signed_difference,
                                          double* class_sums, int64_t* class_counts) {
  const Checks check("igd_loo_penultimate_accumulate");
  const Strides stride = {stride_n, stride_u, stride_s};
  if (!check.dtype(dtype) || !check.size("n", n) || !check.size("u", u) || !check.size("s", s) ||
      !check.size("k", k) || !check.strides("a", stride, n, u, s, igd::size_of(dtype)) ||
      !check.product("class_sums [K,U]", k, u, 8) || !check.pointer("a", a, igd::size_of(dtype)) ||
      !check.pointer("labels", labels, 8) || !check.pointer("class_sums", class_sums, 8) ||
      !check.pointer("class_counts", class_counts, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  for (int64_t i = 0; i < n; ++i) {
    if (labels[i] < 0 || labels[i] >= k) {
      return igd::fail(
          IGD_INVALID_ARGUMENT,
          "igd_loo_penultimate_accumulate: labels[%lld]: expected 0 to %lld, got %lld; check the "
          "number of classes and the labels",
          static_cast<long long>(i), static_cast<long long>(k - 1), static_cast<long long>(labels[i]));
    }
  }
  if (dtype == IGD_FLOAT32) {
    igd::loo_accumulate<float>(a, stride, n, u, s, labels, signed_difference != 0, class_sums);
  } else {
    igd::loo_accumulate<double>(a, stride, n, u, s, labels, signed_difference != 0, class_sums);
  }
  for (int64_t i = 0; i < n; ++i) ++class_counts[labels[i]];
  return IGD_OK;
}

igd_status igd_loo_penultimate_finish(int dtype, const void* weight, int64_t k, int64_t u,
                                      const double* class_sums, const int64_t* class_counts,
                                      int signed_difference, int normalization, double* importance) {
  const Checks check("igd_loo_penultimate_finish");
  if (!check.dtype(dtype) || !check.size("k", k) || !check.size("u", u) ||
      !check.product("importance [U,K]", u, k, 8) || !check.pointer("weight", weight, igd::size_of(dtype)) ||
      !check.pointer("class_sums", class_sums, 8) || !check.pointer("class_counts", class_counts, 8) ||
      !check.pointer("importance", importance, 8)) {
    return IGD_INVALID_ARGUMENT;
  }
  if (normalization != 0 && normalization != 1) {
    return igd::fail(
        IGD_INVALID_ARGUMENT,
        "igd_loo_penultimate_finish: normalization: expected 0 (class mean) or 1 (reference), got %d",
        normalization);
  }
  int64_t total = 0;
  for (int64_t c = 0; c < k; ++c) {
    if (class_counts[c] < 0 || __builtin_add_overflow(total, class_counts[c], &total)) {
      return igd::fail(
          IGD_INVALID_ARGUMENT,
          "igd_loo_penultimate_finish: class_counts[%lld]: expected a count of images, got %lld; zero "
          "the counts before the first batch",
          static_cast<long long>(c), static_cast<long long>(class_counts[c]));
    }
  }
  if (dtype == IGD_FLOAT32) {
    igd::loo_finish<float>(weight, k, u, class_sums, class_counts, signed_difference != 0, normalization == 0,
                           total, importance);
  } else {
    igd::loo_finish<double>(weight, k, u, class_sums, class_counts, signed_difference != 0,
                            normalization == 0, total, importance);
  }
  return IGD_OK;
}

igd_status igd_masked_head_forward(int dtype, const void* a, int64_t stride_n, int64_t stride_u,
                                   int64_t stride_s, int64_t n, int64_t u, int64_t s, const void* weight,
                                   const void* bias, int64_t k, const uint8_t* masks, double temperature,
                                   const void* first_logits_in, void* pooled_out, void* first_logits_out,
                                   void* soft_weights_out, void* soft_mask_out, void* logits_out) {
  const Checks check("igd_masked_head_forward");
  const Strides stride = {stride_n, stride_u, stride_s};
  if (!check.dtype(dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = igd::size_of(dtype);
  if (!check.size("n", n) || !check.size("u", u) || !check.size("s", s) || !check.size("k", k) ||
      !check.strides("a", stride, n, u, s, bytes) || !check.product("weight [K,U]", k, u, bytes) ||
      !check.product("pooled_out [N,U]", n, u, bytes) || !check.product("logits_out [N,K]", n, k, bytes) ||
      !check.pointer("a", a, bytes) || !check.pointer("weight", weight, bytes) ||
      !check.optional_pointer("bias", bias, bytes) || !check.pointer("masks", masks, 1) ||
      !check.temperature(temperature) || !check.optional_pointer("first_logits_in", first_logits_in, bytes) ||
      !check.pointer("pooled_out", pooled_out, bytes) ||
      !check.optional_pointer("first_logits_out", first_logits_out, bytes) ||
      !check.optional_pointer("soft_weights_out", soft_weights_out, bytes) ||
      !check.optional_pointer("soft_mask_out", soft_mask_out, bytes) ||
      !check.pointer("logits_out", logits_out, bytes)) {
    return IGD_INVALID_ARGUMENT;
  }
  const auto run = [&](auto zero) {
    typedef decltype(zero) T;
    return igd::forward<T>({static_cast<const T*>(a), stride, n, u, s, static_cast<const T*>(weight),
                            static_cast<const T*>(bias), k, masks, temperature,
                            static_cast<const T*>(first_logits_in), static_cast<T*>(pooled_out),
                            static_cast<T*>(first_logits_out), static_cast<T*>(soft_weights_out),
                            static_cast<T*>(soft_mask_out), static_cast<T*>(logits_out)});
  };
  return dtype == IGD_FLOAT32 ? run(0.0f) : run(0.0);
}

igd_status igd_masked_head_backward(int dtype, const void* grad_logits, const void* pooled,
                                    const void* soft_weights, const void* soft_mask, const void* weight,
                                    const uint8_t* masks, double temperature, int64_t n, int64_t u, int64_t s,
                                    int64_t k, int own_first_logits, void* grad_a, int64_t stride_n,
                                    int64_t stride_u, int64_t stride_s, void* grad_first_logits) {
  const Checks check("igd_masked_head_backward");
  const Strides stride = {stride_n, stride_u, stride_s};
  if (!check.dtype(dtype)) return IGD_INVALID_ARGUMENT;
  const int64_t bytes = igd::size_of(dtype);
  if (!check.size("n", n) || !check.size("u", u) || !check.size("s", s) || !check.size("k", k) ||
      !check.strides("grad_a", stride, n, u, s, bytes) || !check.distinct("grad_a", stride, n, u, s) ||
      !check.product("weight [K,U]", k, u, bytes) || !check.product("pooled [N,U]", n, u, bytes) ||
      !check.product("grad_logits [N,K]", n, k, bytes) || !check.pointer("grad_logits", grad_logits, bytes) ||
      !check.pointer("pooled", pooled, bytes) || !check.pointer("soft_weights", soft_weights, bytes) ||
      !check.optional_pointer("soft_mask", soft_mask, bytes) || !check.pointer("weight", weight, bytes) ||
      !check.pointer("masks", masks, 1) || !check.temperature(temperature) ||
      !check.pointer("grad_a", grad_a, bytes) ||
      !(own_first_logits != 0 ? check.optional_pointer("grad_first_logits", grad_first_logits, bytes)
                              : check.pointer("grad_first_logits", grad_first_logits, bytes))) {
    return IGD_INVALID_ARGUMENT;
  }
  const auto run = [&](auto zero) {
    typedef decltype(zero) T;
    return igd::backward<T>({static_cast<const T*>(grad_logits), static_cast<const T*>(pooled),
                             static_cast<const T*>(soft_weights), static_cast<const T*>(soft_mask),
                             static_cast<const T*>(weight), masks, temperature, n, u, s, k,
                             own_first_logits != 0, static_cast<T*>(grad_a), stride,
                             static_cast<T*>(grad_first_logits)});
  };
  return dtype == IGD_FLOAT32 ? run(0.0f) : run(0.0);
}

}  // extern "C"
