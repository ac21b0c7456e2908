// fourstep inspect schedule|prompt|tokens|noise: what a `generate` with the same options would use;
// image: what one used.

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/field_options.h"
#include "inspect/noise_view.h"
#include "inspect/prompt_view.h"
#include "inspect/schedule_view.h"
#include "inspect/token_view.h"
#include "io/atomic_file.h"
#include "io/fields_json.h"
#include "io/file_search.h"
#include "request/image_metadata.h"
#include "request/image_series.h"

namespace fourstep {

namespace {

using Json = nlohmann::ordered_json;

struct ViewOptions {
  Request request;
  std::string svg;
  bool is_all = false;
  bool is_json = false;
};

struct Subject {
  ResolvedRequest request;
  ModelFacts model;
};

Events notes() {
  Events events;
  events.on_notice = [](const std::string& sentence) {
    fmt::print(stderr, "note: {}\n", sentence);
  };
  return events;
}

/// Of the first image, where random parts of prompts make images of one run differ.
Request of_first_image(const Request& request) {
  validate(request);
  return expand_prompts(request, notes()).front();
}

Subject subject_of(const Request& asked) {
  validate(asked);
  ModelFacts model = model_facts(asked);
  ResolvedRequest request = resolve(asked, model.traits, notes());
  return {std::move(request), std::move(model)};
}

void print_json(const Json& json) { fmt::print("{}\n", dump_json(json, 2)); }

/// A JSON list of one object per view.
template <typename View>
Json list_of(const std::vector<View>& views) {
  Json list = Json::array();
  for (const View& view : views) list.push_back(json_from(view));
  return list;
}

Json json_of_schedules(const ResolvedSampling& asked, const std::vector<ScheduleView>& views) {
  return {{"sampler", asked.sampler},
          {"dialect", dialect_name(asked.dialect)},
          {"steps", asked.steps},
          {"schedules", list_of(views)}};
}

void print_schedules(const ResolvedSampling& asked, const std::vector<ScheduleView>& views) {
  fmt::print("sampler {}, {} steps, dialect {}\n", asked.sampler, asked.steps,
             dialect_name(asked.dialect));
  if (views.size() > 1) {
    fmt::print("{}", text_from_table(schedule_table(views)));
    return;
  }
  const ScheduleView& view = views.front();
  fmt::print("schedule {}\n{}", view.schedule.empty() ? "of its own" : view.schedule,
             text_from_table(level_table(view)));
  fmt::print(
      "distance from DMD2's levels: visited {:.3f}, missed {:.3f} (mean |log sigma ratio|)\n",
      view.distance.visited, view.distance.missed);
}

void inspect_schedule(const ViewOptions& options) {
  if (!options.svg.empty()) check_output(options.svg, {}, {".svg"});
  const Subject subject = subject_of(options.request);
  const auto views = options.is_all ? view_all_schedules(subject.request, subject.model)
                                    : std::vector{view_schedule(subject.request, subject.model)};
  if (!options.svg.empty()) {
    write_atomically(options.svg,
                     [&](std::ostream& out) { out << schedule_svg(views, subject.model); });
  }
  if (options.is_json) {
    print_json(json_of_schedules(subject.request.sampling, views));
  } else {
    print_schedules(subject.request.sampling, views);
  }
}

void inspect_tokens(const ViewOptions& options) {
  const Subject subject = subject_of(of_first_image(options.request));
  const TokenView view = view_tokens(subject.request, subject.model);
  if (options.is_json) return print_json(json_from(view));
  fmt::print("{}", text_from_tokens(view));
}

void inspect_prompt(const ViewOptions& options) {
  const Subject subject = subject_of(of_first_image(options.request));
  const auto views = view_prompts(subject.request, subject.model);
  if (options.is_json) return print_json(list_of(views));
  fmt::print("{}", text_from_table(prompt_table(views)));
}

void inspect_noise(const ViewOptions& options) {
  const Subject subject = subject_of(options.request);
  const auto views = view_noise(subject.request);
  if (!options.is_json) {
    fmt::print("{}", text_from_table(noise_table(views)));
    return;
  }
  print_json({{"source", text_from_value(subject.request.written.noise.origin)},
              {"images", list_of(views)}});
}

/// What differs from the defaults.
Table table_of(const Request& request) {
  Table table{{{"field"}, {"value"}}, {}};
  const auto defaults = texts_of_fields(Request());
  for (const auto& [name, text] : texts_of_fields(request)) {
    if (text != defaults.at(name)) table.rows.push_back({name, text});
  }
  return table;
}

Table table_of(const Infotext& infotext) {
  Table table{{{"field"}, {"value"}}, {}};
  table.rows.push_back({"Prompt", infotext.prompt});
  table.rows.push_back({"Negative prompt", infotext.negative_prompt});
  for (const auto& [name, text] : infotext.fields) table.rows.push_back({name, text});
  return table;
}

void inspect_image(const std::string& file, bool is_json) {
  const auto [request, infotext] = read_settings(file);
  if (!is_json) {
    fmt::print("{}", text_from_table(request ? table_of(*request) : table_of(*infotext)));
    return;
  }
  Json json = Json::object();
  if (request) json["request"] = json_from_request(*request);
  if (infotext) {
    json["infotext"] = {{"prompt", infotext->prompt},
                        {"negative_prompt", infotext->negative_prompt}};
    for (const auto& [name, text] : infotext->fields) json["infotext"]["fields"][name] = text;
  }
  print_json(json);
}

void add_image(CLI::App& inspect) {
  auto file = std::make_shared<std::string>();
  auto is_json = std::make_shared<bool>(false);
  CLI::App* part = inspect.add_subcommand("image", "how an image was made, as its file tells");
  part->add_option("FILE", *file, "image of this program or of A1111's kind")
      ->type_name("")
      ->required();
  part->add_flag("--json", *is_json, "print JSON");
  part->callback([file, is_json] { inspect_image(*file, *is_json); });
}

/// A subcommand that takes what `generate` takes about the image, so that its options can be
/// pasted.
CLI::App* add_part(CLI::App& inspect, const char* name, const char* help,
                   void (*run)(const ViewOptions&)) {
  auto options = std::make_shared<ViewOptions>();
  CLI::App* part = inspect.add_subcommand(name, help);
  add_prompt_option(*part, options->request)->group("Prompts");
  add_request_options(*part, options->request);
  part->add_flag("--json", options->is_json, "print JSON");
  part->callback([options, run] { run(*options); });
  if (run == inspect_schedule) {
    part->add_flag("--all", options->is_all, "every schedule, under the other options as given");
    part->add_option("--svg", options->svg, "also write a plot")->type_name("");
  }
  return part;
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  CLI::App* inspect = app.add_subcommand(
      "inspect", "what a generate with the same options would use, without making an image");
  inspect->require_subcommand(1);
  add_part(*inspect, "schedule", "noise levels, timesteps, distance from DMD2's training",
           inspect_schedule);
  add_part(*inspect, "prompt", "what the prompts become before the text encoders", inspect_prompt)
      ->get_option("PROMPT")
      ->required();
  add_part(*inspect, "tokens", "the ids that the text encoders get", inspect_tokens)
      ->get_option("PROMPT")
      ->required();
  add_part(*inspect, "noise", "the noise that each image starts from", inspect_noise);
  add_image(*inspect);
}

}  // namespace fourstep
