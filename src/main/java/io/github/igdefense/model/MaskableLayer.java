package io.github.igdefense.model;

/**
 * A layer whose units (channels) can be ranked and masked. The mask multiplies the output of the
 * stage.
 *
 * @param name the stage's name in the checkpoint, such as {@code layer4}
 * @param units number of channels U
 * @param stage index of the stage after which the mask sits
 * @param penultimate whether only global average pooling and the linear classifier follow
 */
public record MaskableLayer(String name, int units, int stage, boolean penultimate) {}
