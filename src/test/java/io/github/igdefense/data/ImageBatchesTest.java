package io.github.igdefense.data;

import static io.github.igdefense.data.GoldenFiles.golden;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.NoSuchElementException;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ImageBatchesTest {
  private final ImageSet set = ImageSets.open("npz:" + golden("images32.npz"));

  @ParameterizedTest
  @CsvSource({"1,1", "3,1", "5,4", "16,2", "100,3"})
  void batchesCoverTheSetInOrder(int batchSize, int threads) {
    float[] expected = new float[3072];
    int seen = 0;
    try (ImageBatches batches = ImageBatches.of(set, batchSize, null, false, threads)) {
      assertThat(batches.batchCount()).isEqualTo((16 + batchSize - 1) / batchSize);
      while (batches.hasNext()) {
        ImageBatch batch = batches.next();
        assertThat(batch.shape()).containsExactly(Math.min(batchSize, 16 - seen), 3, 32, 32);
        for (int i = 0; i < batch.size(); i++, seen++) {
          assertThat(batch.indices()[i]).isEqualTo(seen);
          assertThat(batch.labels()[i]).isEqualTo(set.label(seen));
          set.read(seen, expected, 0);
          assertThat(java.util.Arrays.copyOfRange(batch.floats(), i * 3072, (i + 1) * 3072))
              .isEqualTo(expected);
        }
      }
      assertThatThrownBy(batches::next).isInstanceOf(NoSuchElementException.class);
    }
    assertThat(seen).isEqualTo(16);
  }

  @Test
  void aGivenOrderIsFollowedInFloat64() {
    try (ImageBatches batches = ImageBatches.of(set, 2, new int[] {9, 1, 9}, true)) {
      ImageBatch first = batches.next();
      assertThat(first.indices()).containsExactly(9, 1);
      assertThat(first.isDouble()).isTrue();
      assertThat(first.floats()).isNull();
      double[] expected = new double[3072];
      set.read(1, expected, 0);
      assertThat(java.util.Arrays.copyOfRange(first.doubles(), 3072, 6144)).isEqualTo(expected);
      assertThat(batches.next().size()).isEqualTo(1);
      assertThat(batches.hasNext()).isFalse();
    }
  }

  /** Counts what is decoded, and can fail on purpose. */
  private static class Counting implements ImageSet {
    final AtomicInteger reads = new AtomicInteger();

    @Override
    public String name() {
      return "counting";
    }

    @Override
    public int size() {
      return 1000;
    }

    @Override
    public int channels() {
      return 1;
    }

    @Override
    public int height() {
      return 1;
    }

    @Override
    public int width() {
      return 1;
    }

    @Override
    public java.util.List<String> classNames() {
      return java.util.List.of("0");
    }

    @Override
    public int label(int index) {
      return 0;
    }

    @Override
    public void read(int index, float[] target, int offset) {
      reads.incrementAndGet();
      if (index == 600) {
        throw new InputException("cannot decode image 600");
      }
      target[offset] = index;
    }

    @Override
    public String sha256() {
      return "0";
    }
  }

  @Test
  void decodingStaysABoundedStepAhead() throws Exception {
    Counting counting = new Counting();
    ImageBatches batches = ImageBatches.of(counting, 10, null, false, 2);
    batches.next();
    Thread.sleep(200);
    assertThat(counting.reads.get()).isBetween(10, 50);
    batches.close();
    batches.close();
    assertThatThrownBy(batches::next).isInstanceOf(IllegalStateException.class);
  }

  /** Two batches must be in decoding at once for either to go on; 1,000 images, a window of 30. */
  @Test
  void aLazySetLargerThanTheWindowIsDecodedInParallelInOrderAndInBoundedMemory() {
    java.util.concurrent.CyclicBarrier both = new java.util.concurrent.CyclicBarrier(2);
    AtomicInteger decoded = new AtomicInteger();
    Counting lazy =
        new Counting() {
          @Override
          public boolean isLazy() {
            return true;
          }

          @Override
          public int size() {
            return 600; // an even number of batches of 10
          }

          @Override
          public void read(int index, float[] target, int offset) {
            if (index % 10 == 0) {
              try {
                both.await(20, java.util.concurrent.TimeUnit.SECONDS);
              } catch (Exception e) {
                throw new IllegalStateException("batches are not decoded in parallel", e);
              }
            }
            target[offset] = index;
            decoded.incrementAndGet();
          }
        };
    try (ImageBatches batches = ImageBatches.of(lazy, 10, null, false, 2)) {
      for (int seen = 0; seen < 600; seen += 10) {
        ImageBatch batch = batches.next();
        for (int i = 0; i < 10; i++) {
          assertThat(batch.floats()[i]).isEqualTo(seen + i);
        }
        assertThat(decoded.get()).isLessThanOrEqualTo(seen + 10 + 30);
      }
    }
  }

  @Test
  void failureComesInItsPlace() {
    try (ImageBatches batches = ImageBatches.of(new Counting(), 10, null, false, 4)) {
      for (int i = 0; i < 60; i++) {
        assertThat(batches.next().floats()[0]).isEqualTo(10 * i);
      }
      assertThatThrownBy(batches::next)
          .isInstanceOf(InputException.class)
          .hasMessageContaining("600");
    }
  }

  @Test
  void nonsenseIsRefused() {
    assertThatThrownBy(() -> ImageBatches.of(set, 0)).isInstanceOf(InputException.class);
    assertThatThrownBy(() -> ImageBatches.of(set, 1, new int[] {16}, false))
        .isInstanceOf(IndexOutOfBoundsException.class);
  }
}
