// fourstep generate PROMPT: a prompt (or a list of seeds and sizes for it) to image files.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/dialect.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/image_series.h"
#include "cli/progress_bar.h"
#include "cli/request_options.h"
#include "cli/run_settings.h"
#include "io/atomic_file.h"
#include "io/fields_json.h"
#include "io/image.h"
#include "io/output_check.h"
#include "io/safetensors.h"
#include "pipeline/image_metadata.h"
#include "pipeline/image_output.h"
#include "pipeline/lint.h"
#include "pipeline/lora_lookup.h"
#include "pipeline/output_files.h"
#include "pipeline/precision.h"
#include "pipeline/request_json.h"
#include "pipeline/resources.h"
#include "pipeline/sampling_plan.h"
#include "pipeline/txt2img.h"
#include "sampling/samplers.h"
#include "sampling/schedules.h"
#include "text/prompt_rules.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

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
struct Session {
  const GenerateOptions& options;
  int64_t num_images = 0;
  ProgressBar bar;
  Events events;
  Json images = Json::array();
  Json notices = Json::array();
  std::vector<Problem> problems = {};
  Json lora_lines = Json::array();
  Family family = Family::kSdxl;
  int64_t num_checked = 0;  ///< images whose files can be written
  uint64_t num_bytes = 0;   ///< about as many as they will have
};

/// A request and what its prompts became.
struct Job {
  Request request;
  std::vector<LoraUse> loras;  ///< its own and those of tags
  FileTags files;
  PromptPlan prompts;
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

ImageFiles files_of(const Session& session, const Request& request, uint64_t seed, int64_t index) {
  const std::string words =
      plain_words(request.prompt, prompt_rules(dialect_from_name(request.dialect)).syntax);
  const GenerateOptions& options = session.options;
  ImageFiles files{output_file(options.out, words, seed, index, session.num_images), {}};
  if (!options.latents.empty()) {
    files.latents =
        output_file(options.latents, words, seed, index, session.num_images, kLatentsExtension);
  }
  return files;
}

/// Before minutes of sampling, not after: what an image cannot be written for, or what it will lack.
void check_outputs(Session& session, const Job& job) {
  make_folder_of(session.options.out);
  make_folder_of(session.options.latents);
  for (int64_t i = 0; i < job.request.images; ++i) {
    const Request image = single_image(job.request, i);
    const ImageFiles files = files_of(session, image, *image.seed, session.num_checked++);
    if (files.latents) check_writable(*files.latents);
    if (session.options.out == kStandardOutput) continue;
    const PlannedImage planned{files.image, image.width, image.height,
                               image_metadata(image, session.family, job.files)};
    for (const std::string& notice : check_image_output(planned)) session.events.notice(notice);
    session.num_bytes += expected_file_bytes(planned);
    check_space(planned.file, session.num_bytes);
  }
}

/// Says before the bar which of several images it is for.
void label_next(Session& session) {
  if (session.num_images == 1) return;
  session.bar.set_label(fmt::format("{}/{}", session.images.size() + 1, session.num_images));
}

void write_picture(const std::string& out, const std::filesystem::path& file, const Image& image) {
  if (out != kStandardOutput) return write_or_rescue_image(file, image);
  const std::string bytes = encode_image(image, ImageFormat::kPng);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);  // main() looks whether it arrived
}

void save(Session& session, const Job& job, const GeneratedImage& made) {
  const Request& request = job.request;
  const auto index = static_cast<int64_t>(session.images.size());
  const ImageFiles files = files_of(session, request, made.seed, index);
  Image image;
  image.pixels = pixels_from_image(made.image)[0];
  const Request single = single_image(request, made.index);
  image.text = image_metadata(single, session.family, job.files);
  write_picture(session.options.out, files.image, image);
  if (files.latents) write_safetensors(*files.latents, {{"latent", made.latent}}, image.text);
  session.images.push_back({{"file", files.image.string()},
                            {"seed", made.seed},
                            {"width", request.width},
                            {"height", request.height},
                            {"sample_seconds", made.sample_seconds},
                            {"decode_seconds", made.decode_seconds},
                            {"request", json_from_request(single)}});
  session.bar.finish();
  label_next(session);
  if (!session.options.is_quiet) {
    fmt::print(stderr, "{}  (seed {}, {}x{}, {:.1f} s)\n", files.image.string(), made.seed,
               request.width, request.height, made.sample_seconds + made.decode_seconds);
  }
}

/// Tells each problem once, however many images have it.
void tell_problems(Session& session, const Models& models, const Request& asked,
                   const Request& job) {
  const ModelTraits traits = models.traits();
  const SamplingPlan plan = plan_sampling(job, models.noise_schedule(job));
  for (const Problem& problem : lint({asked, job, traits, plan})) {
    if (std::count(session.problems.begin(), session.problems.end(), problem) != 0) continue;
    session.problems.push_back(problem);
    session.bar.notice(text_of(problem));
  }
}

Placement placement_of(const GenerateOptions& options) {
  Placement placement;
  placement.device = device_from_text(options.device);
  placement.dtype = network_dtype(options.request.precision, placement.device);
  placement.vae_dtype = vae_dtype(options.request.vae_precision, placement.dtype);
  return placement;
}

/// --latents must not replace a file that is read, and has the name of what is inside.
void check_latents(const GenerateOptions& options) {
  if (names_folder(options.latents)) return;
  if (options.latents == kStandardOutput) {
    throw InvalidRequest(
        std::string("--latents -: only images go to standard output; name a file"));
  }
  const Request& request = options.request;
  std::vector<std::filesystem::path> inputs{request.model, request.unet, request.vae,
                                            request.text_encoder, request.text_encoder_2};
  for (const LoraUse& lora : request.loras) inputs.emplace_back(lora.file);
  check_output(options.latents, inputs, {kLatentsExtension});
}

/// Before minutes of sampling, not after. A folder, with '/' at its end, may be missing: it is made.
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
  for (const Request& request : requests) count += request.images;
  return count;
}

/// Shows a sentence and keeps it in `list`, unless it is there already: many requests say the same.
void add_once(Session& session, Json& list, const std::string& sentence) {
  if (std::find(list.begin(), list.end(), sentence) != list.end()) return;
  list.push_back(sentence);
  session.bar.notice(sentence);
}

void wear(Session& session, Models& models, const std::vector<LoraUse>& loras) {
  if (models.loras() == loras) return;
  for (const std::string& line :
       models.set_loras(loras, session.options.request.lora_partial, session.events)) {
    add_once(session, session.lora_lines, line);
  }
}

Job prepare(Session& session, Models& models, const Request& request, EncodingCache& cache) {
  Job job{request, loras_of(request, session.events), {}, {}};
  wear(session, models, job.loras);
  Request asked =
      request;  // the tags' LoRAs count as those of flags wherever they are not written down
  asked.loras = job.loras;
  const Request resolved = resolve_defaults(asked, models.traits(), session.events);
  tell_problems(session, models, asked, resolved);
  job.request = resolved;
  job.request.loras = request.loras;
  job.prompts = encode_prompts(models, job.request, session.events, cache);
  job.files = make_file_tags(resolved, {job.prompts.inversions, models.licences()}, session.events);
  return job;
}

void generate(GenerateOptions options) {
  options.request = with_default_model(std::move(options.request), find_default_model());
  validate(options.request);
  options.request = with_lora_files(std::move(options.request));
  if (options.out != kStandardOutput) check_output_folder("--out", options.out);
  check_output_folder("--latents", options.latents);
  check_latents(options);
  if (!names_folder(options.out) && options.out != kStandardOutput) image_format_of(options.out);
  set_threads(options.threads);
  Session session{options,
                  /*num_images=*/0,
                  ProgressBar(isatty(STDERR_FILENO) != 0, options.is_quiet),
                  {}};
  session.events = events_of(session.bar);
  session.events.on_notice = [&](const std::string& sentence) {
    add_once(session, session.notices, sentence);
  };
  const std::vector<Request> requests =
      image_series(options.request, options.seeds, options.sizes, session.events);
  session.num_images = count_images(requests);
  check_standard_output(options, session.num_images);

  const auto start = Clock::now();
  Models models(options.request, placement_of(options));
  for (const std::string& notice : models.checkpoint().notices) session.events.notice(notice);
  session.family = models.checkpoint().family;
  EncodingCache cache;
  std::vector<Job> jobs;
  for (const Request& request : requests) {
    check_outputs(session, jobs.emplace_back(prepare(session, models, request, cache)));
  }
  models.free_text_encoders();
  label_next(session);
  for (const Job& job : jobs) {
    wear(session, models, job.loras);
    txt2img(models, job.request, job.prompts, session.events,
            [&](const GeneratedImage& made) { save(session, job, made); });
  }
  if (!options.is_json) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const Json result = {{"images", session.images},
                       {"loras", session.lora_lines},
                       {"notices", session.notices},
                       {"lint", json_from(session.problems)},
                       {"device", models.placement().device.str()},
                       {"precision", precision_name(models.placement().dtype)},
                       {"vae_precision", precision_name(models.placement().vae_dtype)},
                       {"seconds", seconds}};
  fmt::print("{}\n", dump_json(result, 2));
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
