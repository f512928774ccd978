// The CUDA library and the parts of libtorch's CUDA build that the presets do not bind, found at run time: the JNI
// library links neither, so that one JNI library serves machines with and without CUDA.
#ifndef IGD_CUDA_TABLE_H_
#define IGD_CUDA_TABLE_H_

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <exception>
#include <new>
#include <utility>

#include "igd/device_cuda.h"
#include "igd/graph_cuda.h"
#include "igd/kernels_cuda.h"

namespace igd_jni {

// Every function of the CUDA library that Java calls; the names are those of its headers.
// clang-format off
#define IGD_CUDA_FUNCTIONS(f)            \
  f(igd_last_error_cuda)                 \
  f(igd_build_info_cuda)                 \
  f(igd_device_count_cuda)               \
  f(igd_device_select_cuda)              \
  f(igd_device_name_cuda)                \
  f(igd_loo_penultimate_accumulate_cuda) \
  f(igd_loo_penultimate_finish_cuda)     \
  f(igd_loo_ablate_convolution_cuda)     \
  f(igd_loo_ablate_identity_cuda)        \
  f(igd_loo_differences_cuda)            \
  f(igd_masked_head_forward_cuda)        \
  f(igd_masked_head_backward_cuda)       \
  f(igd_cdir_score_workspace_cuda)       \
  f(igd_cdir_score_cuda)                 \
  f(igd_cuda_graph_begin)                \
  f(igd_cuda_graph_end)                  \
  f(igd_cuda_graph_launch)               \
  f(igd_cuda_graph_nodes)                \
  f(igd_cuda_graph_free)
// clang-format on

struct CudaTable {
#define IGD_CUDA_FIELD(name) decltype(&::name) name = nullptr;
  IGD_CUDA_FUNCTIONS(IGD_CUDA_FIELD)
#undef IGD_CUDA_FIELD
};

// Filled once, by igd_jni_cuda_open, before any other call.
inline CudaTable& cuda() {
  static CudaTable table;
  return table;
}

inline char* message() {
  static thread_local char text[512] = "";
  return text;
}
constexpr size_t kMessage = 512;

inline int failed(const char* what, const char* why) {
  snprintf(message(), kMessage, "%s: %s", what, why == nullptr ? "unknown" : why);
  return IGD_UNSUPPORTED;
}

template <typename F>
bool find(void* library, const char* name, F* function) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    failed(name, "expected this function in the library, found none: it is of another version");
    return false;
  }
  memcpy(function, &symbol, sizeof(symbol));
  return true;
}

inline int open_cuda(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return failed(path, dlerror());
  CudaTable table;
#define IGD_CUDA_FIND(name) \
  if (!find(library, #name, &table.name)) return IGD_UNSUPPORTED;
  IGD_CUDA_FUNCTIONS(IGD_CUDA_FIND)
#undef IGD_CUDA_FIND
  cuda() = table;
  return IGD_OK;
}

// What libtorch 2.10 exports and its presets leave out: the address of the current stream, and CUDA graphs whose
// tensors live in a memory pool of their own. Called by their mangled names (Itanium ABI, x86-64): c10's stream is
// 16 trivially copyable bytes, returned in two registers.
struct TorchTable {
  struct Stream {
    uint64_t words[2];
  };
  Stream (*current_stream)(signed char device) = nullptr;
  void* (*stream_address)(const Stream*) = nullptr;
  void (*construct)(void* graph, bool keep) = nullptr;
  void (*destroy)(void* graph) = nullptr;
  void (*begin)(void* graph, std::pair<unsigned long long, unsigned long long> pool, int mode) = nullptr;
  void (*end)(void* graph) = nullptr;
  void (*replay)(void* graph) = nullptr;
};

inline TorchTable& torch() {
  static TorchTable table;
  return table;
}

inline void* open_loaded(const char* path) {
  void* library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) failed(path, "is not loaded: the libraries it needs are missing");
  return library;
}

inline int open_torch(const char* c10_cuda, const char* torch_cuda) {
  void* streams = open_loaded(c10_cuda);
  void* graphs = streams == nullptr ? nullptr : open_loaded(torch_cuda);
  if (graphs == nullptr) return IGD_UNSUPPORTED;
  TorchTable table;
  if (!find(streams, "_ZN3c104cuda20getCurrentCUDAStreamEa", &table.current_stream) ||
      !find(streams, "_ZNK3c104cuda10CUDAStream6streamEv", &table.stream_address) ||
      !find(graphs, "_ZN2at4cuda9CUDAGraphC1Eb", &table.construct) ||
      !find(graphs, "_ZN2at4cuda9CUDAGraphD1Ev", &table.destroy) ||
      !find(graphs, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode",
            &table.begin) ||
      !find(graphs, "_ZN2at4cuda9CUDAGraph11capture_endEv", &table.end) ||
      !find(graphs, "_ZN2at4cuda9CUDAGraph6replayEv", &table.replay)) {
    return IGD_UNSUPPORTED;
  }
  torch() = table;
  return IGD_OK;
}

// Runs a call into libtorch; what it throws becomes a status.
template <typename F>
int guarded(const char* what, F&& call) noexcept {
  if (torch().current_stream == nullptr) return failed(what, "libtorch's CUDA build is not loaded");
  try {
    call();
    return IGD_OK;
  } catch (const std::exception& e) {
    return failed(what, e.what());
  } catch (...) {
    return failed(what, "an unknown exception");
  }
}

// libtorch's at::cuda::CUDAGraph in memory that is larger than it (its size is not exported; it is about 300 bytes).
class TorchGraph {
 public:
  TorchGraph() { torch().construct(memory_, false); }
  ~TorchGraph() { torch().destroy(memory_); }
  TorchGraph(const TorchGraph&) = delete;
  TorchGraph& operator=(const TorchGraph&) = delete;

  // 1: cudaStreamCaptureModeThreadLocal. Pool {0,0}: one of its own.
  void begin() { torch().begin(memory_, {0, 0}, 1); }
  void end() { torch().end(memory_); }
  void replay() { torch().replay(memory_); }

 private:
  alignas(64) unsigned char memory_[8192] = {};
};

}  // namespace igd_jni

#endif  // IGD_CUDA_TABLE_H_
