// What people say of LoRA files of distilled models, measured: whether fp16 and two halves change anything, whether the LoRA
// costs time, and a checkpoint with the LoRA merged in, for taking it out again with a negative weight.
// Usage: lora_claims precision|time MODEL LORA_FP16 LORA_FP32
//        lora_claims merge MODEL LORA_FP16 OUT

#include <fmt/format.h>

#include <chrono>

#include "base/error.h"
#include "emoji/evaluation.h"
#include "evaluate/rows.h"
#include "io/safetensors.h"
#include "io/single_file.h"
#include "train/captions.h"
#include "train/optimizer.h"
#include "train/prompt_sampling.h"
#include "train/random.h"

namespace {

using namespace fourstep;

constexpr int64_t kSide = 128, kPrompts = 32, kSteps = 4;

std::vector<LoraUse> lora(const std::string& file, double weight = 1) {
  return {{file, weight, weight}};
}

Models open_models(const std::string& file) {
  return Models(FileSettings{.model = file},
                {.is_trained = true});  // plain weights, which can be compared
}

NamedTensors unet_weights(Models& models, const std::vector<LoraUse>& loras) {
  models.set_loras(loras, false, {});
  return clone_tensors(parameters_of(*models.unet({})));
}

double norm_of_difference(const NamedTensors& a, const NamedTensors& b) {
  double squares = 0;
  for (const auto& [name, tensor] : a) {
    squares += (tensor - b.at(name)).to(torch::kFloat64).square().sum().item<double>();
  }
  return std::sqrt(squares);
}

PromptSet prompts(const std::string& model) {
  EmojiEvaluateConfig config;
  config.common.samples = 0;
  config.common.diversity_prompts = 0;
  config.judged_prompts = kPrompts;
  return make_emoji_prompts(open_emoji_data(config.settings, model), config).sets.judged.at(0);
}

Tensor draw(Models& models, const PromptSet& set) {
  const EvaluationRow row{.kind = RowKind::kStudent,
                          .model = models.checkpoint().path.string(),
                          .sampling = student_sampling(EvaluateConfig(), kSteps)};
  return sampled_pictures(models, row, kSide)(set, 0, set.count()).images;
}

/// In dB; pictures in [-1,1] have a range of 2.
double psnr(const Tensor& a, const Tensor& b) {
  return 10 * std::log10(4 / (a - b).square().mean().item<double>());
}

void compare_precision(const std::string& model, const std::string& fp16, const std::string& fp32) {
  Models models = open_models(model);
  const PromptSet set = prompts(model);
  const NamedTensors base = unet_weights(models, {});
  const NamedTensors reference = unet_weights(models, lora(fp32));
  const Tensor pictures = draw(models, set);
  const double change = norm_of_difference(reference, base);
  fmt::print("| LoRA | difference of weights / change by the LoRA | PSNR of {} pictures |\n",
             kPrompts);
  fmt::print("|---|---|---|\n| fp32 at 1.0 | 0 | - |\n");
  const std::pair<const char*, std::vector<LoraUse>> variants[] = {
      {"fp16 at 1.0", lora(fp16)},
      {"fp32 at 0.5 + fp32 at 0.5", {{fp32, 0.5, 0.5}, {fp32, 0.5, 0.5}}},
      {"fp16 at 0.5 + fp16 at 0.5", {{fp16, 0.5, 0.5}, {fp16, 0.5, 0.5}}},
      {"fp32 at 0.99, for comparison", lora(fp32, 0.99)},
  };
  for (const auto& [name, loras] : variants) {
    const NamedTensors weights = unet_weights(models, loras);
    fmt::print("| {} | {:.2e} | {:.1f} dB |\n", name,
               norm_of_difference(weights, reference) / change, psnr(draw(models, set), pictures));
  }
}

/// Seconds of one step for a batch of one, the median of many; with and without LoRA in turns.
void compare_time(const std::string& model, const std::string& fp16) {
  Models models(FileSettings{.model = model}, {});
  const Conditioning cond =
      encode_captions(models.text_encoders({}), std::vector<std::string>{"a dog"}, kSide);
  const SamplingSettings settings = student_sampling(EvaluateConfig(), kSteps);
  std::vector<double> seconds[2];
  for (int round = 0; round < 40; ++round) {
    models.set_loras(round % 2 == 0 ? std::vector<LoraUse>() : lora(fp16), false, {});
    UNet unet = models.unet({});
    const PromptBatch batch{.unet = unet, .cond = cond, .side = kSide};
    sample_prompts(batch, settings, 0);  // the first call after a change fills caches
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 5; ++i) sample_prompts(batch, settings, 0);
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    seconds[round % 2].push_back(passed.count() / (5 * kSteps));
  }
  for (auto& some : seconds) std::nth_element(some.begin(), some.begin() + 10, some.end());
  fmt::print("| | ms per step, median of 20 x 20 |\n|---|---|\n");
  fmt::print("| without LoRA | {:.2f} |\n| with LoRA | {:.2f} |\n| ratio | {:.3f} |\n",
             1e3 * seconds[0][10], 1e3 * seconds[1][10], seconds[1][10] / seconds[0][10]);
}

void merge(const std::string& model, const std::string& file, const std::string& out) {
  Models models = open_models(model);
  Checkpoint checkpoint = models.checkpoint();
  checkpoint.components[Component::kUnet] = unet_weights(models, lora(file));
  for (auto& [component, tensors] : checkpoint.components) {
    for (auto& [name, tensor] : tensors) tensor = tensor.to(torch::kFloat16);
  }
  const TensorFile merged = single_file_of(checkpoint);
  write_safetensors(out, merged.tensors, merged.metadata);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 5 ? argv[1] : "";
  try {
    const torch::NoGradGuard no_grad;
    if (what == "precision") {
      compare_precision(argv[2], argv[3], argv[4]);
    } else if (what == "time") {
      compare_time(argv[2], argv[3]);
    } else if (what == "merge") {
      merge(argv[2], argv[3], argv[4]);
    } else {
      fmt::print(stderr,
                 "usage: lora_claims precision|time MODEL LORA_FP16 LORA_FP32\n"
                 "       lora_claims merge MODEL LORA_FP16 OUT\n");
      return 2;
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
