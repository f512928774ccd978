// The C API of CUDA graphs.
#include "graph.h"

#include <new>

#include "../cpu/runtime.h"
#include "igd/graph_cuda.h"

struct igd_cuda_graph {
  igd::cuda::Recording recording;
  igd::cuda::Graph graph;
  igd::cuda::ExecutableGraph executable;
  int64_t nodes = -1;
};

namespace {

igd_status status_of(const char* function, const char* call, cudaError_t error) {
  if (error == cudaSuccess) return IGD_OK;
  cudaGetLastError();  // not left behind for the next call
  return igd::fail(IGD_UNSUPPORTED, "%s: %s: CUDA error %d: %s", function, call, static_cast<int>(error),
                   cudaGetErrorString(error));
}

}  // namespace

extern "C" {

igd_status igd_cuda_graph_begin(void* stream, igd_cuda_graph** graph) {
  const char* function = "igd_cuda_graph_begin";
  if (graph == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT, "%s: expected where to put the graph, got NULL", function);
  }
  *graph = nullptr;
  if (stream == nullptr) {
    return igd::fail(IGD_INVALID_ARGUMENT,
                     "%s: expected a stream of its own, got the default stream, which cannot be recorded",
                     function);
  }
  igd_cuda_graph* made = new (std::nothrow) igd_cuda_graph;
  if (made == nullptr) return igd::fail(IGD_OUT_OF_MEMORY, "%s: no memory for a graph", function);
  const igd_status status =
      status_of(function, "cudaStreamBeginCapture", made->recording.begin(static_cast<cudaStream_t>(stream)));
  if (status != IGD_OK) {
    delete made;
    return status;
  }
  *graph = made;
  return IGD_OK;
}

igd_status igd_cuda_graph_end(igd_cuda_graph* graph) {
  const char* function = "igd_cuda_graph_end";
  if (graph == nullptr || !graph->recording.running()) {
    return igd::fail(IGD_INVALID_ARGUMENT, "%s: expected a graph that records, got %s", function,
                     graph == nullptr ? "NULL" : "one that does not");
  }
  igd_status status = status_of(function, "cudaStreamEndCapture", graph->recording.end(&graph->graph));
  if (status != IGD_OK) return status;
  size_t nodes = 0;
  status = status_of(function, "cudaGraphGetNodes", cudaGraphGetNodes(graph->graph.get(), nullptr, &nodes));
  if (status != IGD_OK) return status;
  status = status_of(function, "cudaGraphInstantiate", graph->executable.instantiate(graph->graph));
  if (status == IGD_OK) graph->nodes = static_cast<int64_t>(nodes);
  return status;
}

igd_status igd_cuda_graph_launch(igd_cuda_graph* graph, void* stream) {
  const char* function = "igd_cuda_graph_launch";
  if (graph == nullptr || !graph->executable.ready()) {
    return igd::fail(IGD_INVALID_ARGUMENT, "%s: expected a graph whose recording has ended well, got %s",
                     function, graph == nullptr ? "NULL" : "another");
  }
  return status_of(function, "cudaGraphLaunch", graph->executable.launch(static_cast<cudaStream_t>(stream)));
}

int64_t igd_cuda_graph_nodes(const igd_cuda_graph* graph) { return graph == nullptr ? -1 : graph->nodes; }

void igd_cuda_graph_free(igd_cuda_graph* graph) { delete graph; }

}  // extern "C"
