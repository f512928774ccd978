// What the drivers share: errors, threads, scratch memory and the choice of the instruction set.
#ifndef IGD_CPU_RUNTIME_H_
#define IGD_CPU_RUNTIME_H_

#include <stddef.h>
#include <stdint.h>

#include "igd/kernels.h"
#include "kernel_table.h"

namespace igd {

// Stores the message that igd_last_error returns and gives `status` back.
__attribute__((format(printf, 2, 3))) igd_status fail(igd_status status, const char* format, ...);

// The kernels of the active instruction set.
template <typename T>
const KernelTable<T>& kernels();

// Number of threads worth using for work that takes one thread about `nanoseconds`: 1 if a fork costs more.
int workers_for(double nanoseconds);

// Work on the tasks [begin,end) by the worker of that number.
typedef void (*RangeBody)(const void* context, int64_t begin, int64_t end, int worker);

// Shares `tasks` tasks among at most `workers` threads in contiguous ranges and waits for them.
void parallel_for(int workers, int64_t tasks, RangeBody body, const void* context);

// The same for a callable f(begin, end, worker).
template <typename F>
void parallel(int workers, int64_t tasks, const F& f) {
  parallel_for(
      workers, tasks,
      [](const void* context, int64_t begin, int64_t end, int worker) {
        (*static_cast<const F*>(context))(begin, end, worker);
      },
      &f);
}

// At least `bytes` of 64-byte aligned memory that belongs to the calling thread and lasts until its next call
// of this function; nullptr if there is none. Kept between calls, so that a kernel call does not allocate.
void* scratch(size_t bytes);

}  // namespace igd

#endif  // IGD_CPU_RUNTIME_H_
