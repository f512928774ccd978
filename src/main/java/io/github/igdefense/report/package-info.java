/**
 * What a run found, for people and for programs: {@code result.json}, one self-contained HTML page
 * and a plain-text table.
 *
 * <p>The package takes plain records ({@link io.github.igdefense.report.RunReport} and its parts)
 * and computes no accuracy itself; the warnings it adds follow from the numbers it is given.
 * Accuracies are fractions in [0,1] in records and JSON, per cent in the page and the table.
 * Everything here is immutable or stateless and may be used from any thread; no native memory is
 * touched.
 */
package io.github.igdefense.report;
