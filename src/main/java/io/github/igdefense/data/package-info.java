/**
 * Labelled image sets as batches, and the file formats of data: IDX, CIFAR, image folders and
 * lists, NumPy arrays; beneath them checked readers for zip archives and pickles, hashes and atomic
 * writing. Knows no other package of this project.
 *
 * <p>Every reader treats its input as untrusted: sizes are checked before memory is reserved,
 * nothing is executed, and whatever does not fit is an {@link
 * io.github.igdefense.data.InputException} that says what to do.
 */
package io.github.igdefense.data;
