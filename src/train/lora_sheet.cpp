#include "train/lora_sheet.h"

#include "pipeline/decode.h"
#include "report/contact_sheet.h"
#include "train/captions.h"
#include "train/sample_batch.h"

namespace fourstep {

namespace {

constexpr size_t kMostPrompts = 8, kMostCaptions = 4;
constexpr uint64_t kSheetSeed = 1;

std::vector<std::string> prompts_of(const LoraRun& run) {
  std::vector<std::string> prompts;
  if (!run.config.sample_prompts.empty()) {
    prompts = read_prompts(run.config.sample_prompts);
    prompts.resize(std::min(prompts.size(), kMostPrompts));
    return prompts;
  }
  for (const TrainingImage& image : run.data.images) {
    const bool is_new = std::find(prompts.begin(), prompts.end(), image.caption) == prompts.end();
    if (is_new && prompts.size() < kMostCaptions) prompts.push_back(image.caption);
  }
  return prompts;
}

}  // namespace

LoraSheet::LoraSheet(const LoraRun& run) : prompts_(prompts_of(run)) {}

std::vector<Tensor> LoraSheet::pictures(LoraRun& run, Adapter* adapter,
                                        const Events& events) const {
  // The bar shows training; what sampling reports would restart it.
  Events quiet;
  quiet.is_cancelled = events.is_cancelled;
  quiet.on_notice = events.on_notice;
  const Conditioning cond = encode_captions(run.encoders, prompts_, run.side);
  const std::vector<std::string> nothing{""};
  SampleOptions options{.steps = run.config.sample_steps,
                        .cfg_scale = run.config.sample_cfg_scale,
                        .output = run.output,
                        .noise_schedule = run.schedule};
  if (!run.has_zero_null()) options.uncond = encode_captions(run.encoders, nothing, run.side);
  std::vector<Tensor> pictures;
  for (size_t i = 0; i < prompts_.size(); ++i) {
    options.seed = kSheetSeed + i;
    const Tensor latent = [&] {
      const WornAdapter worn(adapter);
      return sample_batch(run.unet, rows_of(cond, static_cast<int64_t>(i), 1), run.side / 8,
                          options);
    }();
    quiet.report({});  // throws when the user wants to stop
    pictures.push_back(pixels_from_image(decode_latent(run.models, latent, 0, quiet))[0]);
  }
  return pictures;
}

void LoraSheet::write(LoraRun& run, int64_t iteration, const Events& events) {
  const torch::NoGradGuard no_grad;
  if (without_.empty()) without_ = pictures(run, nullptr, events);
  const std::vector<Tensor> with = pictures(run, run.adapter.get(), events);
  SheetSpec sheet;
  sheet.num_columns = static_cast<int64_t>(prompts_.size());
  sheet.title = fmt::format("iteration {}", iteration);
  sheet.column_labels = prompts_;
  sheet.row_labels = {"without", "with LoRA"};
  for (const auto& row : {without_, with}) {
    for (const Tensor& pixels : row) sheet.cells.push_back({pixels});
  }
  write_image(std::filesystem::path(run.config.out) / sheet_name(iteration), contact_sheet(sheet));
}

}  // namespace fourstep
