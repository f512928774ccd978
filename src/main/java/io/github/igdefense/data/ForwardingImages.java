package io.github.igdefense.data;

import java.util.List;
import java.util.Objects;

/**
 * A view on another set that is like it in all but what a subclass overrides. Pixels are the
 * subclass's business. Closing a view closes its source.
 */
public abstract class ForwardingImages implements ImageSet {
  /** The set behind this view. */
  protected final ImageSet source;

  /** A view on {@code source}. */
  protected ForwardingImages(ImageSet source) {
    this.source = Objects.requireNonNull(source, "source");
  }

  @Override
  public String name() {
    return source.name();
  }

  @Override
  public String preprocessing() {
    return source.preprocessing();
  }

  @Override
  public List<String> remarks() {
    return source.remarks();
  }

  @Override
  public int size() {
    return source.size();
  }

  @Override
  public int channels() {
    return source.channels();
  }

  @Override
  public int height() {
    return source.height();
  }

  @Override
  public int width() {
    return source.width();
  }

  @Override
  public List<String> classNames() {
    return source.classNames();
  }

  @Override
  public int label(int index) {
    return source.label(index);
  }

  @Override
  public String sha256() {
    return source.sha256();
  }

  @Override
  public void close() {
    source.close();
  }
}
