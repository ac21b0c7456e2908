#include "pipeline/prompt_expansion.h"

#include <string>

#include "io/file_search.h"
#include "pipeline/defaults.h"
#include "pipeline/wildcard_lists.h"
#include "text/comments.h"
#include "text/prompt_rules.h"
#include "text/wildcards.h"

namespace fourstep {

namespace {

Request without_comments(const Request& request, Dialect dialect) {
  Request plain = request;
  for (std::string* prompt : {&plain.prompt, &plain.negative_prompt, &plain.guidance.nag_prompt}) {
    *prompt = without_comments(*prompt, dialect);
  }
  return plain;
}

void report_names_without_folder(const Request& request, const Events& events) {
  for (const std::string& prompt : {request.prompt, request.negative_prompt}) {
    const std::string name = first_wildcard_name(prompt);
    if (name.empty()) continue;
    return events.notice("__" + name +
                         "__ in the prompt is text as long as no --wildcards folder is given");
  }
}

}  // namespace

std::vector<Request> expand_prompts(const Request& request, const Events& events) {
  const Dialect dialect = dialect_from_name(request.dialect);
  const bool with_names = !request.wildcards.empty();
  if (with_names) check_folders({request.wildcards}, "--wildcards");
  if (prompt_rules(dialect).syntax == PromptSyntax::kPlain) return {request};
  Request seeded = without_comments(request, dialect);
  if (!with_names) report_names_without_folder(seeded, events);
  if (!has_wildcards(seeded.prompt, with_names) &&
      !has_wildcards(seeded.negative_prompt, with_names)) {
    return {seeded};
  }
  if (!seeded.seed) seeded.seed = draw_seed();
  const WildcardOptions options =
      with_names ? wildcard_lists(request.wildcards, dialect, events) : WildcardOptions();
  std::vector<Request> expanded;
  for (int64_t i = 0; i < request.images; ++i) {
    Request& single = expanded.emplace_back(single_image(seeded, i));
    single.prompt = expand_wildcards(seeded.prompt, {*single.seed, 0}, options);
    single.negative_prompt = expand_wildcards(seeded.negative_prompt, {*single.seed, 1}, options);
  }
  return expanded;
}

}  // namespace fourstep
