package io.github.igdefense.cli;

import io.github.igdefense.data.ImageSet;
import io.github.igdefense.evaluation.Evaluation;
import io.github.igdefense.model.StagedNetwork;
import io.github.igdefense.tensor.Version;
import java.util.LinkedHashMap;
import java.util.Map;

/** What decides the numbers of a run, besides its attacks and defenses, in words. */
record Identity(
    ModelOptions model, StagedNetwork network, ImageSet images, Evaluation.Settings settings) {

  /** All of it with one thing more. */
  Map<String, String> with(String name, Object value) {
    Map<String, String> map = new LinkedHashMap<>();
    map.put("version", Version.get());
    map.put("architecture", network.architecture());
    map.put("model", network.sha256());
    map.put("data", images.sha256());
    map.put("images", Integer.toString(images.size()));
    map.put("dtype", network.arithmetic());
    map.put("device", model.compute.device);
    map.put("batch size", Integer.toString(settings.batchSize()));
    map.put("seed", Long.toString(settings.seed()));
    map.put("order", settings.order().toString());
    map.put("evaluations", Integer.toString(settings.judge().repetitions()));
    map.put(name, String.valueOf(value));
    return map;
  }
}
