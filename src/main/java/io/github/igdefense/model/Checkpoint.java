package io.github.igdefense.model;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * What a checkpoint file holds. Immutable.
 *
 * @param source the file
 * @param sha256 hash of the file's bytes, lower-case hex
 * @param format how it was stored, for example {@code PyTorch zip}
 * @param state the network's tensors, without wrappers and common prefixes
 * @param metadata the other values of the file by top-level key: String, Long, Double, Boolean,
 *     null, List, Map, byte[], {@link HostTensor}; nested values may share or even contain each
 *     other, so do not recurse without a limit
 * @param notes what was unwrapped or stripped to get at the tensors, readable; empty if nothing
 */
public record Checkpoint(
    Path source,
    String sha256,
    String format,
    StateDict state,
    Map<String, Object> metadata,
    List<String> notes) {}
