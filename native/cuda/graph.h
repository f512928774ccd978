// Owners of CUDA graphs: freed with their scope, every call checked.
#ifndef IGD_CUDA_GRAPH_H_
#define IGD_CUDA_GRAPH_H_

#include <cuda_runtime_api.h>

#include <utility>

namespace igd {
namespace cuda {

// A graph as it was recorded.
class Graph {
 public:
  Graph() = default;
  explicit Graph(cudaGraph_t graph) : graph_(graph) {}
  Graph(Graph&& other) noexcept : graph_(std::exchange(other.graph_, nullptr)) {}
  Graph& operator=(Graph&& other) noexcept {
    std::swap(graph_, other.graph_);
    return *this;
  }
  ~Graph() {
    if (graph_ != nullptr) cudaGraphDestroy(graph_);
  }
  cudaGraph_t get() const { return graph_; }

 private:
  cudaGraph_t graph_ = nullptr;
};

// A graph made ready for launching.
class ExecutableGraph {
 public:
  ExecutableGraph() = default;
  ~ExecutableGraph() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  ExecutableGraph(const ExecutableGraph&) = delete;
  ExecutableGraph& operator=(const ExecutableGraph&) = delete;

  cudaError_t instantiate(const Graph& graph) { return cudaGraphInstantiate(&graph_, graph.get(), 0); }
  cudaError_t launch(cudaStream_t stream) const { return cudaGraphLaunch(graph_, stream); }
  bool ready() const { return graph_ != nullptr; }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

// The recording of one stream by one thread; ends with its scope.
class Recording {
 public:
  ~Recording() {
    Graph discarded;
    end(&discarded);
    cudaGetLastError();  // nobody asks for it
  }
  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  cudaError_t begin(cudaStream_t stream) {
    const cudaError_t error = cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    if (error == cudaSuccess) stream_ = stream;
    return error;
  }

  // Ends the recording, if one runs.
  cudaError_t end(Graph* graph) {
    if (stream_ == nullptr) return cudaSuccess;
    cudaGraph_t recorded = nullptr;
    const cudaError_t error = cudaStreamEndCapture(std::exchange(stream_, nullptr), &recorded);
    *graph = Graph(recorded);
    return error;
  }

  bool running() const { return stream_ != nullptr; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace cuda
}  // namespace igd

#endif  // IGD_CUDA_GRAPH_H_
