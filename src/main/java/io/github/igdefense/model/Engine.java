package io.github.igdefense.model;

/** What computes a network's stages. */
public enum Engine {
  /** Our native engine where the machine makes it fast and the network fits, else libtorch. */
  AUTO,
  /** Our native engine, on any machine; a network that does not fit it is refused. */
  NATIVE,
  /** libtorch's own operations. */
  LIBTORCH
}
