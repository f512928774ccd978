/*
 * CUDA graphs: the launches of a fixed-shape computation recorded once and started again by one call, in
 * libigd_kernels_cuda. Compiled for every supported architecture; not yet run on a GPU by its authors.
 *
 * A graph holds the addresses that were used while recording: every array that the recorded calls read or write
 * must stay where it was until the graph is freed. Recording runs nothing. What fails is an igd_status, with the
 * reason in igd_last_error_cuda(); then compute without a graph, the results are the same.
 */
#ifndef IGD_GRAPH_CUDA_H_
#define IGD_GRAPH_CUDA_H_

#include "igd/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A recording that runs, or a graph that can be launched. Belongs to the caller. */
typedef struct igd_cuda_graph igd_cuda_graph;

/*
 * Starts recording what the calling thread launches on `stream` (a cudaStream_t; not the default stream, which
 * cannot be recorded: IGD_INVALID_ARGUMENT). Until igd_cuda_graph_end, calls of this thread that wait for the
 * device or allocate device memory fail; other threads are not affected.
 */
IGD_API igd_status igd_cuda_graph_begin(void* stream, igd_cuda_graph** graph);

/* Ends recording, on the thread that began it, and makes the graph ready. On failure the recording is over all the
 * same, and the graph can only be freed. */
IGD_API igd_status igd_cuda_graph_end(igd_cuda_graph* graph);

/* Starts the graph on `stream` (NULL: the default stream); returns after the launch. One launch at a time. */
IGD_API igd_status igd_cuda_graph_launch(igd_cuda_graph* graph, void* stream);

/* Number of nodes (kernels, copies, fills) of a finished graph; -1 if it is not finished. */
IGD_API int64_t igd_cuda_graph_nodes(const igd_cuda_graph* graph);

/* Frees a graph, ending its recording if it still runs; NULL is ignored. No launch may be running. */
IGD_API void igd_cuda_graph_free(igd_cuda_graph* graph);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IGD_GRAPH_CUDA_H_ */
