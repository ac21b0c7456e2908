#include "request/image_series.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/file_search.h"
#include "request/resolve.h"
#include "request/wildcard_lists.h"
#include "text/prompt_rules.h"
#include "text/prompt_scan.h"
#include "text/wildcards.h"

namespace fourstep {

namespace {

/// The parts of a list between commas. Throws InvalidRequest when one is empty.
std::vector<std::string> parts_of(const char* flag, const std::string& list) {
  std::vector<std::string> parts = split_text(list, ',');
  if (list.ends_with(',') || std::count(parts.begin(), parts.end(), "") > 0) {
    throw InvalidRequest("{} {}: a place between the commas is empty; leave out the comma", flag,
                         list);
  }
  return parts;
}

/// The seeds of the images, random ones drawn once, so that all sizes have the same.
std::vector<uint64_t> seeds_of(const Request& request, const std::string& list) {
  if (list.empty()) return {request.picture.seed ? *request.picture.seed : draw_seed()};
  if (request.picture.seed) {
    throw InvalidRequest(std::string("--seed and --seeds exclude each other: give one of them"));
  }
  std::vector<uint64_t> seeds;
  for (const std::string& text : parts_of("--seeds", list)) {
    std::optional<uint64_t> seed;
    value_from_text(FieldInfo{"seeds", ""}, text, seed);
    seeds.push_back(seed ? *seed : draw_seed());
  }
  return seeds;
}

/// The sides of the images in pixels; none for that of the request.
std::vector<std::vector<int64_t>> sizes_of(const std::string& list) {
  if (list.empty()) return {{}};
  std::vector<std::vector<int64_t>> sizes;
  for (const std::string& text : parts_of("--sizes", list)) {
    const std::vector<std::string> sides = split_text(lower_ascii(text), 'x');
    if (sides.size() != 2) {
      throw InvalidRequest("--sizes: \"{}\" is not WIDTHxHEIGHT, for instance 1024x768", text);
    }
    const FieldInfo side{"sizes", "", "px", 8, 16384};
    std::vector<int64_t>& size = sizes.emplace_back(2);
    for (size_t i = 0; i < size.size(); ++i) value_from_text(side, sides[i], size[i]);
  }
  return sizes;
}

Request without_comments(const Request& request, Dialect dialect) {
  Request plain = request;
  for (std::string* prompt :
       {&plain.prompt.text, &plain.prompt.negative, &plain.guidance.nag.prompt}) {
    *prompt = without_comments(*prompt, dialect);
  }
  return plain;
}

void report_names_without_folder(const Request& request, const Events& events) {
  for (const std::string& prompt : {request.prompt.text, request.prompt.negative}) {
    const std::string name = first_wildcard_name(prompt);
    if (name.empty()) continue;
    return events.notice("__" + name +
                         "__ in the prompt is text as long as no --wildcards folder is given");
  }
}

}  // namespace

std::vector<Request> expand_prompts(const Request& request, const Events& events) {
  const Dialect dialect = request.sampling.dialect;
  const bool with_names = !request.prompt.wildcards.empty();
  if (with_names) check_folders({request.prompt.wildcards}, "--wildcards");
  if (prompt_rules(dialect).syntax == PromptSyntax::kPlain) return {request};
  Request seeded = without_comments(request, dialect);
  if (!with_names) report_names_without_folder(seeded, events);
  if (!has_wildcards(seeded.prompt.text, with_names) &&
      !has_wildcards(seeded.prompt.negative, with_names)) {
    return {seeded};
  }
  if (!seeded.picture.seed) seeded.picture.seed = draw_seed();
  const WildcardOptions options =
      with_names ? wildcard_lists(request.prompt.wildcards, dialect, events) : WildcardOptions();
  std::vector<Request> expanded;
  for (int64_t i = 0; i < request.picture.images; ++i) {
    Request& single = expanded.emplace_back(single_image(seeded, i));
    single.prompt.text = expand_wildcards(seeded.prompt.text, {*single.picture.seed, 0}, options);
    single.prompt.negative =
        expand_wildcards(seeded.prompt.negative, {*single.picture.seed, 1}, options);
  }
  return expanded;
}

std::vector<Request> image_series(const Request& request, const std::string& seeds,
                                  const std::string& sizes, const Events& events) {
  std::vector<Request> requests;
  const std::vector<uint64_t> all_seeds = seeds_of(request, seeds);
  for (const std::vector<int64_t>& size : sizes_of(sizes)) {
    for (const uint64_t seed : all_seeds) {
      Request& next = requests.emplace_back(request);
      next.picture.seed = seed;
      if (size.empty()) continue;
      next.picture.width = size[0];
      next.picture.height = size[1];
    }
  }
  std::vector<Request> expanded;
  for (const Request& one : requests) {
    for (Request& part : expand_prompts(one, events)) expanded.push_back(std::move(part));
  }
  return expanded;
}

}  // namespace fourstep
