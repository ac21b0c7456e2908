// fourstep generate PROMPT: a prompt (or a list of seeds and sizes for it) to image files.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/field_options.h"
#include "cli/progress_bar.h"
#include "cli/run_settings.h"
#include "engine/engine.h"
#include "io/atomic_file.h"
#include "io/fields_json.h"
#include "io/file_search.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "request/image_series.h"
#include "request/lora_lookup.h"
#include "request/output_files.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kLatentsExtension = ".safetensors";
constexpr std::string_view kStandardOutput = "-";

struct GenerateOptions {
  Request request;
  std::string seeds, sizes;
  std::string out, latents;
  std::string device = "auto";
  int64_t threads = 0;
  bool is_json = false;
  bool is_quiet = false;
};

/// What one run of the command has made so far.
struct Output {
  const GenerateOptions& options;
  int64_t num_images = 0;
  ProgressBar bar;
  Json images = Json::array();
  int64_t num_checked = 0;  ///< images whose files can be written
  uint64_t num_bytes = 0;   ///< about as many as they will have
};

/// A folder that the user named and that is not there yet.
void make_folder_of(const std::string& out) {
  if (!out.ends_with('/')) return;
  std::error_code failure;
  std::filesystem::create_directories(out, failure);
  if (failure) throw Error("{}: the folder cannot be made: {}", out, failure.message());
}

/// Where image `index` of the run goes, and its latents, if they are wanted.
struct ImageFiles {
  std::filesystem::path image;
  std::optional<std::filesystem::path> latents;
};

ImageFiles files_of(const Output& output, const ResolvedRequest& request, uint64_t seed,
                    int64_t index) {
  const std::string words = plain_words(request.prompt.text, request.prompt.rules.syntax);
  const GenerateOptions& options = output.options;
  ImageFiles files{output_file(options.out, words, seed, index, output.num_images), {}};
  if (!options.latents.empty()) {
    files.latents =
        output_file(options.latents, words, seed, index, output.num_images, kLatentsExtension);
  }
  return files;
}

/// Before minutes of sampling, not after: what an image cannot be written for, or what it will
/// lack.
void check_outputs(Output& output, const PlannedImages& planned, const Events& events) {
  make_folder_of(output.options.out);
  make_folder_of(output.options.latents);
  const std::vector<ImageSeed> seeds = image_seeds(planned.request);
  const PictureSize size = picture_size(planned.request);
  for (size_t i = 0; i < seeds.size(); ++i) {
    const ImageFiles files = files_of(output, planned.request, seeds[i].seed, output.num_checked++);
    if (files.latents) check_writable(*files.latents);
    if (output.options.out == kStandardOutput) continue;
    const PlannedImage image{files.image, size.width, size.height,
                             planned.text(static_cast<int64_t>(i))};
    for (const std::string& notice : check_image_output(image)) events.notice(notice);
    output.num_bytes += expected_file_bytes(image);
    check_space(image.file, output.num_bytes);
  }
}

/// Says before the bar which of several images it is for.
void label_next(Output& output) {
  if (output.num_images == 1) return;
  output.bar.set_label(fmt::format("{}/{}", output.images.size() + 1, output.num_images));
}

void write_picture(const std::string& out, const std::filesystem::path& file, const Image& image) {
  if (out != kStandardOutput) return write_or_rescue_image(file, image);
  const std::string bytes = encode_image(image, ImageFormat::kPng);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);  // main() looks whether it arrived
}

void save(Output& output, const PlannedImages& planned, const GeneratedImage& made) {
  const ResolvedRequest& request = planned.request;
  const auto index = static_cast<int64_t>(output.images.size());
  const PictureSize size = picture_size(request);
  const ImageFiles files = files_of(output, request, made.seed, index);
  Image image;
  image.pixels = pixels_from_image(made.image)[0];
  image.text = planned.text(made.index);
  write_picture(output.options.out, files.image, image);
  if (files.latents) write_safetensors(*files.latents, {{"latent", made.latent}}, image.text);
  output.images.push_back(
      {{"file", files.image.string()},
       {"seed", made.seed},
       {"width", size.width},
       {"height", size.height},
       {"sample_seconds", made.sample_seconds},
       {"decode_seconds", made.decode_seconds},
       {"request", json_from_request(single_image(request.written, made.index))}});
  output.bar.finish();
  label_next(output);
  if (!output.options.is_quiet) {
    fmt::print(stderr, "{}  (seed {}, {}x{}, {:.1f} s)\n", files.image.string(), made.seed,
               size.width, size.height, made.sample_seconds + made.decode_seconds);
  }
}

/// --latents must not replace a file that is read, and has the name of what is inside.
void check_latents(const GenerateOptions& options) {
  if (names_folder(options.latents)) return;
  if (options.latents == kStandardOutput) {
    throw InvalidRequest(
        std::string("--latents -: only images go to standard output; name a file"));
  }
  const FileSettings& files = options.request.files;
  std::vector<std::filesystem::path> inputs{files.model, files.unet, files.vae, files.text_encoder,
                                            files.text_encoder_2};
  for (const LoraUse& lora : files.loras) inputs.emplace_back(lora.file);
  check_output(options.latents, inputs, {kLatentsExtension});
}

/// Before minutes of sampling, not after. A folder, with '/' at its end, may be missing: it is
/// made.
void check_output_folder(const char* flag, const std::string& out) {
  std::filesystem::path folder = std::filesystem::path(out).parent_path();
  const bool is_made = out.ends_with('/');
  std::error_code ignored;  // what cannot be looked at is not there
  while (is_made && !folder.empty() && !std::filesystem::exists(folder, ignored)) {
    folder = folder.parent_path();
  }
  if (folder.empty()) folder = ".";
  if (!std::filesystem::is_directory(folder)) {
    throw InvalidRequest("{} {}: the folder {} does not exist; make it first", flag, out,
                         folder.string());
  }
  if (access(folder.c_str(), W_OK) != 0) {
    throw InvalidRequest("{} {}: the folder {} cannot be written to", flag, out, folder.string());
  }
}

/// One picture alone, and nothing else, goes to standard output, into a file or another program.
void check_standard_output(const GenerateOptions& options, int64_t num_images) {
  if (options.out != kStandardOutput) return;
  if (options.is_json) {
    throw InvalidRequest(std::string("--out - and --json both want standard output; name a file"));
  }
  if (num_images != 1) {
    throw InvalidRequest("--out -: {} images, and standard output takes one; name a folder",
                         num_images);
  }
  if (isatty(STDOUT_FILENO) != 0) {
    throw InvalidRequest(std::string(
        "--out -: an image is nothing for a terminal; send it on with > FILE.png or | PROGRAM"));
  }
}

int64_t count_images(const std::vector<Request>& requests) {
  int64_t count = 0;
  for (const Request& request : requests) count += request.picture.images;
  return count;
}

/// notices: of the time before the run.
Json json_from_report(const Output& output, std::vector<std::string> notices,
                      const Report& report) {
  for (const std::string& notice : report.notices) {
    if (std::count(notices.begin(), notices.end(), notice) == 0) notices.push_back(notice);
  }
  return {{"images", output.images},
          {"loras", report.lora_lines},
          {"notices", notices},
          {"lint", json_from(report.findings)},
          {"device", report.device},
          {"precision", report.precision},
          {"vae_precision", report.vae_precision},
          {"timings", report.timings},
          {"peak_memory_bytes", report.peak_memory_bytes},
          {"seconds", report.seconds}};
}

void generate(GenerateOptions options) {
  options.request = checked_request(std::move(options.request));
  if (options.out != kStandardOutput) check_output_folder("--out", options.out);
  check_output_folder("--latents", options.latents);
  check_latents(options);
  if (!names_folder(options.out) && options.out != kStandardOutput) image_format_of(options.out);
  set_threads(options.threads);
  Output output{options, /*num_images=*/0,
                ProgressBar(isatty(STDERR_FILENO) != 0, options.is_quiet)};
  Callbacks callbacks{.events = events_of(output.bar)};
  std::vector<std::string> notices;
  Events events = callbacks.events;
  events.on_notice = [&](const std::string& sentence) {
    if (std::count(notices.begin(), notices.end(), sentence) != 0) return;
    notices.push_back(sentence);
    output.bar.notice(sentence);
  };
  const std::vector<Request> requests =
      image_series(options.request, options.seeds, options.sizes, events);
  output.num_images = count_images(requests);
  check_standard_output(options, output.num_images);
  callbacks.on_planned = [&](const PlannedImages& planned) {
    check_outputs(output, planned, events);
    label_next(output);
  };
  callbacks.on_image = [&](const PlannedImages& planned, const GeneratedImage& made) {
    save(output, planned, made);
  };
  Engine engine({.device = options.device});
  const Report report = engine.run(requests, callbacks);
  if (options.is_json) {
    fmt::print("{}\n", dump_json(json_from_report(output, std::move(notices), report), 2));
  }
}

constexpr const char* kHowToWrite =
    "A prompt is one word of the shell, in quotation marks; one that begins with - comes behind "
    "--:\n"
    "  fourstep generate \"a red fox\" --seed 7\n"
    "  fourstep generate --seed 7 -- \"--odd prompt\"\n"
    "Switches are written --x or --x=true, and --no-x or --x=false. Names of options that other\n"
    "programs use for the same stand behind \"also\".";

template <typename Rows>
std::string names_with_help(const char* title, const Rows& rows) {
  size_t width = 0;
  for (const auto& row : rows) width = std::max(width, row.name.size() + 2);
  std::string text = title;
  for (const auto& row : rows) text += fmt::format("\n  {:<{}}{}", row.name, width, row.help);
  return text;
}

}  // namespace

void add_generate_command(CLI::App& app) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "make images from a prompt");
  add_prompt_option(*command, options->request)->required()->group("Prompts");
  command->add_option("--seeds", options->seeds, "several seeds, as 1,2,3")->type_name("");
  command
      ->add_option("--sizes,--size", options->sizes, "one or several sizes, as 1024x1024,832x1216")
      ->type_name("");
  command
      ->add_option("-o,--out,--output", options->out,
                   "image file (.png .jpg .webp), folder/ (made where it is missing), or -: PNG to "
                   "standard output")
      ->type_name("");
  command
      ->add_option("--latents", options->latents,
                   "also write the final latents, as .safetensors, or into folder/")
      ->type_name("");
  command->add_option("--device", options->device, "auto, cpu, cuda or cuda:N")->type_name("");
  command->add_option("-t,--threads", options->threads, "processor threads; 0: all cores")
      ->type_name("");
  command->add_flag("--json", options->is_json, "print the result as JSON on standard output");
  command->add_flag("-q,--quiet", options->is_quiet, "no progress, no notices");
  add_request_options(*command, options->request);
  command->footer(fmt::format("{}\n\n{}\n\n{}", kHowToWrite,
                              names_with_help("Samplers:", sampler_rows()),
                              names_with_help("Schedules:", schedule_rows())));
  command->callback([options] { generate(*options); });
}

}  // namespace fourstep
