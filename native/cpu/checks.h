// Argument checks with messages that say what was expected, what came and what to do. Each returns false
// after it has stored the message.
#ifndef IGD_CPU_CHECKS_H_
#define IGD_CPU_CHECKS_H_

#include <math.h>
#include <stdint.h>

#include "kernel_table.h"
#include "runtime.h"

namespace igd {

// Checks of one call; `function` names it in the messages.
class Checks {
 public:
  explicit Checks(const char* function) : function_(function) {}

  bool dtype(int value) const {
    if (value == IGD_FLOAT32 || value == IGD_FLOAT64) return true;
    fail(IGD_INVALID_ARGUMENT, "%s: dtype: expected 0 (float32) or 1 (float64), got %d", function_, value);
    return false;
  }

  bool size(const char* name, int64_t value) const {
    if (value >= 1) return true;
    fail(IGD_INVALID_ARGUMENT,
         "%s: %s: expected a size of at least 1, got %lld; skip the call for empty input", function_, name,
         static_cast<long long>(value));
    return false;
  }

  // rows * columns elements of `bytes` bytes must be addressable.
  bool product(const char* name, int64_t rows, int64_t columns, int64_t bytes) const {
    int64_t total;
    if (!__builtin_mul_overflow(rows, columns, &total) && !__builtin_mul_overflow(total, bytes, &total)) {
      return true;
    }
    fail(IGD_INVALID_ARGUMENT,
         "%s: %s: expected a size below 2^63 bytes, got %lld x %lld elements of %lld bytes; check the sizes",
         function_, name, static_cast<long long>(rows), static_cast<long long>(columns),
         static_cast<long long>(bytes));
    return false;
  }

  bool pointer(const char* name, const void* value, int64_t alignment) const {
    if (value == nullptr) {
      fail(IGD_INVALID_ARGUMENT, "%s: %s: expected an address, got NULL; pass the array's first element",
           function_, name);
      return false;
    }
    return optional_pointer(name, value, alignment);
  }

  bool optional_pointer(const char* name, const void* value, int64_t alignment) const {
    const uint64_t address = reinterpret_cast<uintptr_t>(value);
    if (address % static_cast<uint64_t>(alignment) == 0) return true;
    fail(
        IGD_INVALID_ARGUMENT,
        "%s: %s: expected an address aligned to its element size of %lld bytes, got 0x%llx; copy the data to "
        "aligned memory",
        function_, name, static_cast<long long>(alignment), static_cast<unsigned long long>(address));
    return false;
  }

  // Strides >= 1, and the last element's offset addressable.
  bool strides(const char* name, Strides stride, int64_t n, int64_t u, int64_t s, int64_t bytes) const {
    if (stride.n < 1 || stride.u < 1 || stride.s < 1) {
      return refuse_strides(name, stride, "strides of at least 1", "make the tensor contiguous");
    }
    int64_t elements;
    if (__builtin_mul_overflow(n, u, &elements) || __builtin_mul_overflow(elements, s, &elements)) {
      fail(IGD_INVALID_ARGUMENT, "%s: %s: expected N*U*S below 2^63, got %lld*%lld*%lld; check the sizes",
           function_, name, static_cast<long long>(n), static_cast<long long>(u), static_cast<long long>(s));
      return false;
    }
    int64_t in, iu, is, last;
    if (__builtin_mul_overflow(n - 1, stride.n, &in) || __builtin_mul_overflow(u - 1, stride.u, &iu) ||
        __builtin_mul_overflow(s - 1, stride.s, &is) || __builtin_add_overflow(in, iu, &last) ||
        __builtin_add_overflow(last, is, &last) || __builtin_add_overflow(last, 1, &last) ||
        __builtin_mul_overflow(last, bytes, &last)) {
      return refuse_strides(name, stride, "offsets below 2^63 bytes", "check the strides");
    }
    return true;
  }

  // Every element has its own place: sorted by stride, no axis reaches into the next. Call after strides().
  bool distinct(const char* name, Strides stride, int64_t n, int64_t u, int64_t s) const {
    struct Axis {
      int64_t stride;
      int64_t size;
    } axes[3] = {{stride.n, n}, {stride.u, u}, {stride.s, s}};
    for (int pass = 0; pass < 2; ++pass) {
      for (int i = 0; i < 2; ++i) {
        if (axes[i].stride > axes[i + 1].stride) {
          const Axis swapped = axes[i];
          axes[i] = axes[i + 1];
          axes[i + 1] = swapped;
        }
      }
    }
    int64_t reach = 1;  // elements that the axes so far span
    for (const Axis& axis : axes) {
      if (axis.size == 1) continue;
      if (axis.stride < reach) {
        return refuse_strides(name, stride, "strides that give every element its own place",
                              "pass a contiguous gradient tensor");
      }
      if (__builtin_mul_overflow(axis.stride, axis.size, &reach)) {
        return refuse_strides(name, stride, "offsets below 2^63 bytes", "check the strides");
      }
    }
    return true;
  }

  bool temperature(double value) const {
    if (isfinite(value) && value > 0) return true;
    fail(IGD_INVALID_ARGUMENT, "%s: temperature: expected a finite number above 0 (usually 0.01), got %g",
         function_, value);
    return false;
  }

 private:
  bool refuse_strides(const char* name, Strides stride, const char* expected, const char* remedy) const {
    fail(IGD_INVALID_ARGUMENT, "%s: %s: expected %s, got (%lld, %lld, %lld) for N, U, S; %s", function_, name,
         expected, static_cast<long long>(stride.n), static_cast<long long>(stride.u),
         static_cast<long long>(stride.s), remedy);
    return false;
  }

  const char* function_;
};

}  // namespace igd

#endif  // IGD_CPU_CHECKS_H_
