/**
 * Attacks, one class each, against anything that gives logits and input gradients. They know no
 * model by name and no data set.
 */
package io.github.igdefense.attack;
