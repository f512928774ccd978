/**
 * Judging classifiers: clean and robust accuracy, transfer of adversarial images, the worst case
 * per image, inference time. Computes; prints nothing.
 */
package io.github.igdefense.evaluation;
