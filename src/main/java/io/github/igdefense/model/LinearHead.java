package io.github.igdefense.model;

import org.bytedeco.pytorch.Tensor;

/**
 * The end of a network: global average pooling, then {@code logits = W·pooled + b}. Owned by its
 * network.
 *
 * @param weight [K,U], contiguous, in the head's type (float32, or float64 for float64 networks)
 * @param bias [K], same type
 */
public record LinearHead(Tensor weight, Tensor bias) {}
