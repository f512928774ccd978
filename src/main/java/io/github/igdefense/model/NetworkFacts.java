package io.github.igdefense.model;

import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import java.util.List;
import java.util.Optional;

/**
 * What a {@link StagedNetwork} says about itself.
 *
 * @param architecture family and size, such as {@code rn18}
 * @param dtype arithmetic
 * @param device where its parameters are
 * @param inputChannels of an image
 * @param imageSize which images it takes
 * @param normalization what it does to its input first
 * @param classCount logits
 * @param sha256 of the checkpoint file, or "random"
 * @param warnings tensors of the checkpoint without a use here, a sentence each
 * @param notes how the checkpoint was taken, a sentence each
 */
record NetworkFacts(
    String architecture,
    Dtype dtype,
    Device device,
    int inputChannels,
    ImageSize imageSize,
    Optional<InputNormalization> normalization,
    int classCount,
    String sha256,
    List<String> warnings,
    List<String> notes) {
  NetworkFacts {
    warnings = List.copyOf(warnings);
    notes = List.copyOf(notes);
  }
}
