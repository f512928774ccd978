// igd_device_tests: the table of kernel_cases.h on a real CUDA device, twice, and CUDA graphs.
// Exit code 0: passed, 1: failed, 77: there is no device (with the reason).
#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "igd/device_cuda.h"
#include "igd/graph_cuda.h"
#include "igd/kernels_cuda.h"
#include "kernel_cases.h"
#include "test_support.h"

namespace igd_test {

Report& report() {
  static Report instance;
  return instance;
}

bool expect(bool holds, const std::string& what) {
  Report& r = report();
  ++r.checks;
  if (!holds) {
    ++r.failures;
    if (r.failures <= 40) std::printf("FAILED %s\n", what.c_str());
    if (r.failures == 41) std::printf("(further failures are only counted)\n");
  }
  return holds;
}

void expect_status(int status, int expected, const std::string& what, const std::vector<std::string>& parts) {
  expect(status == expected, what + ": status " + std::to_string(status));
  for (const std::string& part : parts) {
    expect(std::string(igd_last_error_cuda()).find(part) != std::string::npos, what + " lacks " + part);
  }
}

namespace {

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::printf("FAILED %s: CUDA error %d: %s\n", what, static_cast<int>(error), cudaGetErrorString(error));
  std::exit(1);  // nothing after it would mean anything
}

// Arrays in device memory, poisoned, calls on a stream of its own.
Engine device_engine(cudaStream_t stream) {
  Engine engine;
  engine.name = "device";
  engine.cuda = true;
  engine.allocate = [](size_t bytes) {
    void* memory = nullptr;
    const size_t size = bytes == 0 ? 16 : bytes;
    check(cudaMalloc(&memory, size), "cudaMalloc");
    check(cudaMemset(memory, 0xff, size), "cudaMemset");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    return memory;
  };
  engine.release = [](void* memory) { check(cudaFree(memory), "cudaFree"); };
  engine.to_device = [](void* device, const void* host, size_t bytes) {
    check(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "copy to the device");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  };
  engine.to_host = [](void* host, const void* device, size_t bytes) {
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
    check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "copy to the host");
  };
  engine.call = [stream](const std::string& what, const std::function<igd_status(void*)>& call) {
    expect(call(stream) == IGD_OK, what + ": " + igd_last_error_cuda());
    check(cudaStreamSynchronize(stream), what.c_str());
  };
  return engine;
}

// Every call recorded as a graph, and launched from it twice.
Engine graph_engine(cudaStream_t stream) {
  Engine engine = device_engine(stream);
  engine.name = "graph";
  engine.call = [stream](const std::string& what, const std::function<igd_status(void*)>& call) {
    igd_cuda_graph* graph = nullptr;
    if (!expect(igd_cuda_graph_begin(stream, &graph) == IGD_OK, what + ": " + igd_last_error_cuda())) return;
    expect(call(stream) == IGD_OK, what + " recorded: " + igd_last_error_cuda());
    if (expect(igd_cuda_graph_end(graph) == IGD_OK, what + ": " + igd_last_error_cuda())) {
      expect(igd_cuda_graph_nodes(graph) >= 1, what + ": launches were recorded");
      expect(igd_cuda_graph_launch(graph, stream) == IGD_OK, what + ": " + igd_last_error_cuda());
    }
    check(cudaStreamSynchronize(stream), what.c_str());
    igd_cuda_graph_free(graph);
  };
  return engine;
}

void misuse_is_refused() {
  igd_cuda_graph* graph = nullptr;
  expect_status(igd_cuda_graph_begin(nullptr, &graph), IGD_INVALID_ARGUMENT, "default stream",
                {"default stream"});
  expect_status(igd_cuda_graph_end(nullptr), IGD_INVALID_ARGUMENT, "no graph", {"NULL"});
  expect_status(igd_cuda_graph_launch(nullptr, nullptr), IGD_INVALID_ARGUMENT, "no graph to launch",
                {"NULL"});
  expect(igd_cuda_graph_nodes(nullptr) == -1, "no nodes without a graph");
  igd_cuda_graph_free(nullptr);
}

int run(int argc, char** argv) {
  bool large = false, driver_free = false;
  const char* only = nullptr;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--large") == 0) {
      large = true;
    } else if (std::strcmp(argv[i], "--without-device") == 0) {
      driver_free = true;
    } else {
      only = argv[i];
    }
  }
  std::printf("%s\n", igd_build_info_cuda());
  misuse_is_refused();
  const int devices = igd_device_count_cuda();
  if (devices == 0) {
    std::printf("no CUDA device: %s; nothing has run on a GPU\n", igd_last_error_cuda());
    expect(igd_device_select_cuda(0) == IGD_UNSUPPORTED, "selecting a device without one");
    expect(std::strlen(igd_device_name_cuda(0)) == 0, "a name without a device");
    if (report().failures != 0) return 1;
    return driver_free ? 0 : 77;
  }
  std::printf("device 0 of %d: %s\n", devices, igd_device_name_cuda(0));
  check(cudaSetDevice(0), "cudaSetDevice");
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  std::vector<uint64_t> first, second, graphs;
  run_kernel_cases(device_engine(stream), large, only, &first);
  run_kernel_cases(device_engine(stream), large, only, &second);
  expect(first == second, "two runs give the same bits");
  run_kernel_cases(graph_engine(stream), false, only, &graphs);
  if (!large) expect(first == graphs, "graphs give the same bits");
  check(cudaStreamDestroy(stream), "cudaStreamDestroy");
  std::printf("%lld checks, %lld failures on a GPU\n", static_cast<long long>(report().checks),
              static_cast<long long>(report().failures));
  return report().failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace igd_test

int main(int argc, char** argv) { return igd_test::run(argc, argv); }
