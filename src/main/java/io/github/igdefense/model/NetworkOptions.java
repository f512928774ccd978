package io.github.igdefense.model;

import io.github.igdefense.data.InputException;
import io.github.igdefense.tensor.Device;
import io.github.igdefense.tensor.Dtype;
import io.github.igdefense.tensor.Float32Precision;
import java.util.Objects;

/**
 * How a network computes: {@link #of} a type, and what differs from the defaults there. Immutable.
 *
 * @param dtype arithmetic
 * @param inputNormalization what {@link InputNormalizations#parse} takes, or {@link
 *     InputNormalizations#AUTO}: the checkpoint's own, or else the family's
 * @param device where the parameters are
 * @param float32Precision how exactly the native engine multiplies float32 numbers
 * @param engine what computes the stages
 */
public record NetworkOptions(
    Dtype dtype,
    String inputNormalization,
    Device device,
    Float32Precision float32Precision,
    Engine engine) {

  /**
   * Checks that they go together.
   *
   * @throws InputException for another precision than {@code HIGHEST} with another type than
   *     float32
   */
  public NetworkOptions {
    Objects.requireNonNull(dtype, "dtype");
    Objects.requireNonNull(inputNormalization, "inputNormalization");
    Objects.requireNonNull(device, "device");
    Objects.requireNonNull(float32Precision, "float32Precision");
    Objects.requireNonNull(engine, "engine");
    if (float32Precision != Float32Precision.HIGHEST && dtype != Dtype.FLOAT32) {
      throw new InputException(
          "expected the dtype float32 with float32 precision "
              + float32Precision
              + ", got "
              + dtype);
    }
  }

  /**
   * A type with the defaults: the checkpoint's own normalisation, on the processor, highest
   * precision, the native engine where the machine makes it fast.
   */
  public static NetworkOptions of(Dtype dtype) {
    return new NetworkOptions(
        dtype, InputNormalizations.AUTO, Device.CPU, Float32Precision.HIGHEST, Engine.AUTO);
  }

  /** These with another normalisation of the input. */
  public NetworkOptions withInputNormalization(String specification) {
    return new NetworkOptions(dtype, specification, device, float32Precision, engine);
  }

  /** These on another device. */
  public NetworkOptions withDevice(Device other) {
    return new NetworkOptions(dtype, inputNormalization, other, float32Precision, engine);
  }

  /**
   * These at another precision.
   *
   * @throws InputException for another than {@code HIGHEST} with another type than float32
   */
  public NetworkOptions withFloat32Precision(Float32Precision precision) {
    return new NetworkOptions(dtype, inputNormalization, device, precision, engine);
  }

  /** These with another engine. */
  public NetworkOptions withEngine(Engine other) {
    return new NetworkOptions(dtype, inputNormalization, device, float32Precision, other);
  }
}
