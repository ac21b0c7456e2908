// fourstep lora convert, merge, resize, extract: verbs that write a LoRA file.

#include <fmt/format.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/run_settings.h"
#include "cli/workbench_options.h"
#include "io/file_search.h"
#include "io/safetensors.h"
#include "io/text_encoding.h"
#include "request/request.h"
#include "workbench/lora_convert.h"
#include "workbench/lora_extract.h"
#include "workbench/lora_merge.h"
#include "workbench/lora_result.h"

namespace fourstep {

namespace {

struct WriteOptions {
  std::vector<std::string> files;
  std::string out, model, dtype, style;
  std::vector<std::string> block_weights;
  std::optional<int64_t> rank, convolution_rank;
  std::optional<double> ratio, cumulative, frobenius;
  bool folds_alpha = false;
  bool drops_embeddings = false;
  bool is_quiet = false;
};

ProgressBar make_bar(const WriteOptions& options) {
  return ProgressBar(isatty(STDERR_FILENO) != 0, options.is_quiet);
}

std::optional<torch::ScalarType> dtype_of(const WriteOptions& options) {
  if (options.dtype.empty()) return std::nullopt;
  return lora_dtype_from_text(options.dtype);
}

/// Nothing when no option asks for another rank. Throws InvalidRequest when several rules are
/// named.
std::optional<RankChoice> rank_choice(const WriteOptions& options) {
  // Rules without --rank are bounded by nothing.
  constexpr int64_t kUnbounded = int64_t{1} << 30;
  RankChoice choice;
  choice.max_rank = options.rank.value_or(kUnbounded);
  int num_rules = 0;
  for (const auto& [target, rule] : {std::pair{options.ratio, RankRule::kRatio},
                                     {options.cumulative, RankRule::kCumulative},
                                     {options.frobenius, RankRule::kFrobenius}}) {
    if (!target) continue;
    ++num_rules;
    choice.rule = rule;
    choice.target = *target;
  }
  if (num_rules > 1) throw InvalidRequest("choose one of --sv-ratio, --sv-cumulative and --sv-fro");
  if (num_rules == 0 && !options.rank) return std::nullopt;
  check(choice);
  return choice;
}

void print_written(const WriteOptions& options, const std::string& what) {
  fmt::print("{}  ({})\n", printable(options.out, 400), what);
}

/// ", embeddings a, b"; empty without any.
std::string embeddings_text(const BundledEmbeddings& embeddings) {
  return embeddings.empty() ? "" : ", embeddings " + printable(names_text(embeddings), 400);
}

void convert(const WriteOptions& options) {
  ConvertOptions wanted;
  wanted.to = style_from_text(options.style);
  wanted.dtype = dtype_of(options);
  wanted.folds_alpha = options.folds_alpha;
  wanted.drops_embeddings = options.drops_embeddings;
  check_output(options.out, {options.files.at(0)}, {".safetensors"});
  const LoraSource source = open_lora_source(options.files.at(0));
  const ConvertedLora converted = convert_lora(source, layouts_for(options.model), wanted);
  write_safetensors(options.out, converted.tensors, converted.metadata);
  if (converted.num_scaled > 0 && !options.is_quiet) {
    fmt::print(stderr,
               "note: alpha / rank of {} modules is not 1 and stands in the metadata; for programs "
               "that do not read it (ComfyUI) use --fold-alpha\n",
               converted.num_scaled);
  }
  if (!converted.embeddings.empty() && !has_alpha_tensors(wanted.to) && !options.is_quiet) {
    fmt::print(
        stderr,
        "note: the file keeps the bundled embeddings ({}), with which diffusers does not load "
        "it; --no-embeddings leaves them out\n",
        printable(names_text(converted.embeddings), 400));
  }
  print_written(options, fmt::format("{} modules, {}{}", converted.num_modules, options.style,
                                     embeddings_text(converted.embeddings)));
}

/// One text for all files, or one per file.
BlockWeights block_weights_of(const WriteOptions& options, size_t index, size_t num_files) {
  if (options.block_weights.empty()) return {};
  if (options.block_weights.size() != 1 && options.block_weights.size() != num_files) {
    throw InvalidRequest("--block-weights: given {} times for {} files; give it once or per file",
                         options.block_weights.size(), num_files);
  }
  return parse_block_weights(options.block_weights[options.block_weights.size() == 1 ? 0 : index]);
}

std::string note_of(const LoraUse& use, const std::string& block_weights) {
  std::string note;
  if (use.text_weight != use.unet_weight) note = fmt::format("text encoders {}", use.text_weight);
  if (!block_weights.empty())
    note += fmt::format("{}block weights {}", note.empty() ? "" : ", ", block_weights);
  return note;
}

/// What a command joins: the parts, and what the metadata says of them.
struct Ingredients {
  LoraLayout layout;
  std::vector<MergePart> parts;
  std::vector<LoraPart> facts;
  torch::ScalarType dtype = torch::kHalf;
};

Ingredients open_parts(const WriteOptions& options) {
  std::vector<LoraUse> uses;
  for (const std::string& file : options.files) {
    std::vector<LoraUse> parsed;
    value_from_text(FieldInfo{"lora", ""}, file, parsed);
    uses.insert(uses.end(), parsed.begin(), parsed.end());
  }
  std::vector<std::filesystem::path> paths;
  for (const LoraUse& use : uses) paths.emplace_back(use.file);
  check_output(options.out, paths, {".safetensors"});
  const std::vector<FittedLora> loras = open_together(paths, layouts_for(options.model));
  Ingredients result{common_layout(loras), {}, {}, {}};
  std::vector<std::map<ParameterId, LoraModule>> all;
  for (size_t i = 0; i < loras.size(); ++i) {
    const BlockWeights blocks = block_weights_of(options, i, loras.size());
    all.push_back(loras[i].modules());
    result.parts.push_back({all.back(), single_weight(uses[i]), uses[i].text_weight, blocks,
                            loras[i].file.embeddings, paths[i].string()});
    const std::string text = options.block_weights.empty()
                                 ? ""
                                 : options.block_weights[i % options.block_weights.size()];
    result.facts.push_back(
        {paths[i], single_weight(uses[i]), note_of(uses[i], text), loras[i].file.metadata});
  }
  result.dtype = dtype_of(options).value_or(widest_type(all));
  return result;
}

std::string ranks_text(const std::map<ParameterId, LoraModule>& modules) {
  int64_t smallest = 0, largest = 0;
  for (const auto& [id, module] : modules) {
    const int64_t rank = rank_of(module);
    if (rank == 0) continue;
    smallest = smallest == 0 ? rank : std::min(smallest, rank);
    largest = std::max(largest, rank);
  }
  return smallest == largest ? fmt::format("rank {}", largest)
                             : fmt::format("ranks {} to {}", smallest, largest);
}

/// merge and resize: the sum of the files, at another rank if one is asked for.
void join(const WriteOptions& options, const char* verb, const std::optional<RankChoice>& rank) {
  const Ingredients parts = open_parts(options);
  ProgressBar bar = make_bar(options);
  const MergeResult result = merge_loras(parts.parts, parts.layout, rank, events_of(bar));
  bar.finish();
  const std::string operation = rank ? fmt::format("{}, {}", verb, text_of(*rank)) : verb;
  const double rounding =
      write_lora(options.out, result.modules, parts.layout, parts.dtype,
                 result_metadata(operation, parts.facts, result.modules), result.embeddings);
  print_written(options,
                fmt::format("{} modules, {}, relative error {:.3g} by rank, {:.3g} by rounding{}",
                            result.modules.size(), ranks_text(result.modules),
                            result.relative_error(), rounding, embeddings_text(result.embeddings)));
}

void merge(const WriteOptions& options) { join(options, "merge", rank_choice(options)); }

void resize(WriteOptions options) {
  const std::optional<RankChoice> choice = rank_choice(options);
  if (!choice) {
    throw InvalidRequest(
        "lora resize: name the rank, with --rank, --sv-ratio, --sv-cumulative or --sv-fro");
  }
  join(options, "resize", choice);
}

void extract(const WriteOptions& options) {
  ExtractOptions wanted;
  wanted.rank = options.rank.value_or(wanted.rank);
  wanted.convolution_rank = options.convolution_rank.value_or(wanted.rank);
  wanted.dtype = dtype_of(options).value_or(wanted.dtype);
  check_output(options.out, {options.files.begin(), options.files.end()}, {".safetensors"});
  const Checkpoint tuned = open_checkpoint(options.files.at(0));
  const Checkpoint base = open_checkpoint(options.files.at(1));
  ProgressBar bar = make_bar(options);
  const ExtractResult result = extract_lora(tuned, base, wanted, events_of(bar));
  bar.finish();
  const std::vector<LoraPart> facts = {{tuned.path, 1, "", tuned.metadata},
                                       {base.path, -1, "", base.metadata}};
  write_lora(options.out, result.modules, result.layout, wanted.dtype,
             result_metadata("extract", facts, result.modules));
  const double all = result.total_squared + result.beyond_squared;
  print_written(options,
                fmt::format("{} modules, {}, relative error {:.3g}; norms and biases, which "
                            "a LoRA leaves out, hold {:.2g}% of the difference's square",
                            result.modules.size(), ranks_text(result.modules),
                            result.relative_error(), 100 * result.beyond_squared / all));
}

void add_out(CLI::App& command, WriteOptions& options) {
  command.add_option("-o,--out,--output", options.out, "file to write (.safetensors)")
      ->type_name("")
      ->required();
}

void add_common_options(CLI::App& command, WriteOptions& options,
                        const std::string& default_type = "as the input has it") {
  command.add_option("--dtype", options.dtype, "fp32, fp16 or bf16; else " + default_type)
      ->type_name("");
  command.add_flag("-q,--quiet", options.is_quiet, "no progress, no notices");
}

void add_rank_options(CLI::App& command, WriteOptions& options) {
  command.add_option("--rank", options.rank, "largest rank of a module")->type_name("");
  command
      .add_option("--sv-ratio", options.ratio,
                  "keep singular values above the largest divided by this")
      ->type_name("");
  command
      .add_option("--sv-cumulative", options.cumulative,
                  "keep values up to this share of their sum")
      ->type_name("");
  command.add_option("--sv-fro", options.frobenius, "keep values up to this share of the norm")
      ->type_name("");
  command
      .add_option(
          "--block-weights", options.block_weights,
          "12, 17, 20 or 26 numbers, a preset (NONE, ALL, INS, IND, INALL, MIDD, OUTD, OUTS, "
          "OUTALL), or "
          "NAME=NUMBER,...: BASE, IN04, MID, OUT00, down_blocks.1; once for all files or once "
          "per file")
      ->type_name("");
}

/// Of verbs that make one LoRA of one: options.files gets both.
void add_in_and_out(CLI::App& command, WriteOptions& options) {
  command.add_option("FILES", options.files, "LoRA file, and the file to write")
      ->type_name("IN OUT")
      ->required()
      ->expected(2);
}

void add_convert(CLI::App& lora) {
  auto options = std::make_shared<WriteOptions>();
  CLI::App* command =
      lora.add_subcommand("convert", "write a LoRA under another program's key names");
  add_in_and_out(*command, *options);
  command->add_option("--to", options->style, "kohya, kohya-ldm, peft or diffusers")
      ->type_name("")
      ->required();
  command->add_flag("--fold-alpha", options->folds_alpha,
                    "peft and diffusers: multiply alpha / rank into the up factors");
  command->add_flag("--no-embeddings", options->drops_embeddings,
                    "leave bundled embeddings (bundle_emb) out");
  add_lora_model_option(*command, options->model);
  add_common_options(*command, *options);
  command->callback([options] {
    options->out = options->files.at(1);
    convert(*options);
  });
}

void add_merge(CLI::App& lora) {
  auto options = std::make_shared<WriteOptions>();
  CLI::App* command =
      lora.add_subcommand("merge", "several LoRAs with weights as one: exact, or at a rank");
  command->add_option("FILES", options->files, "FILE, FILE:WEIGHT or FILE:WEIGHT:TEXTWEIGHT")
      ->type_name("FILE:WEIGHT ...")
      ->required();
  add_out(*command, *options);
  add_rank_options(*command, *options);
  add_lora_model_option(*command, options->model);
  add_common_options(*command, *options);
  command->callback([options] { merge(*options); });
}

void add_resize(CLI::App& lora) {
  auto options = std::make_shared<WriteOptions>();
  CLI::App* command = lora.add_subcommand("resize", "a LoRA at another rank, by singular values");
  add_in_and_out(*command, *options);
  add_rank_options(*command, *options);
  add_lora_model_option(*command, options->model);
  add_common_options(*command, *options);
  command->callback([options] {
    options->out = options->files.at(1);
    options->files.resize(1);
    resize(*options);
  });
}

void add_extract(CLI::App& lora) {
  auto options = std::make_shared<WriteOptions>();
  CLI::App* command =
      lora.add_subcommand("extract", "what one checkpoint adds to another, as a LoRA");
  command->add_option("FILES", options->files, "the tuned checkpoint and its base")
      ->type_name("TUNED BASE")
      ->required()
      ->expected(2);
  add_out(*command, *options);
  command->add_option("--rank", options->rank, "of linear layers (64)")->type_name("");
  command->add_option("--conv-rank", options->convolution_rank, "of convolutions (as --rank)")
      ->type_name("");
  add_common_options(*command, *options, "fp16");
  command->callback([options] { extract(*options); });
}

}  // namespace

void add_lora_write_verbs(CLI::App& lora) {
  add_convert(lora);
  add_merge(lora);
  add_resize(lora);
  add_extract(lora);
}

}  // namespace fourstep
