package io.github.igdefense.model;

import io.github.igdefense.tensor.CompiledNet;

/**
 * A network in the native engine, for images of one size. Belongs to the {@link StagedNetwork} it
 * came from, and is valid until that is closed.
 *
 * @param net the compiled network; value 0 is the image
 * @param values of the stages' outputs, in the order of {@link StagedNetwork#stages}; not to be
 *     changed
 */
public record CompiledStages(CompiledNet net, int[] values) {}
