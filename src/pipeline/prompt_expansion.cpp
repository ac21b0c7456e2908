#include "pipeline/prompt_expansion.h"

#include <fstream>
#include <map>
#include <string>

#include "base/error.h"
#include "base/text_tools.h"
#include "io/file_search.h"
#include "pipeline/defaults.h"
#include "text/prompt_rules.h"
#include "text/wildcards.h"

namespace fourstep {

namespace {

std::vector<std::string> read_options(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw Error("wildcards: {} cannot be read", path.string());
  std::vector<std::string> options;
  for (std::string line; std::getline(in, line);) {
    if (line.find('\0') != std::string::npos) {
      throw InvalidRequest("wildcards: {} is no text (it has NUL bytes); save it as UTF-8",
                           path.string());
    }
    line = trimmed(line);
    if (!line.empty() && line.front() != '#') options.push_back(std::move(line));
  }
  if (options.empty()) throw InvalidRequest("wildcards: {} has no options", path.string());
  return options;
}

/// Empty without a folder.
WildcardOptions options_in(const std::string& folder) {
  if (folder.empty()) return {};
  const auto files = list_files({folder}, {".txt"}, "--wildcards");
  return [files, folder](const std::string& name) {
    if (const NamedFile* file = find_named(files, name)) return read_options(file->path);
    throw InvalidRequest("wildcard __{}__: there is no {}.txt in {}{}", name, name, folder,
                         nearest_names(files, name));
  };
}

}  // namespace

std::vector<Request> expand_prompts(const Request& request) {
  const bool is_plain =
      prompt_rules(dialect_from_name(request.dialect)).syntax == PromptSyntax::kPlain;
  const bool with_names = !request.wildcards.empty();
  if (with_names) check_folders({request.wildcards}, "--wildcards");
  if (is_plain || (!has_wildcards(request.prompt, with_names) &&
                   !has_wildcards(request.negative_prompt, with_names))) {
    return {request};
  }
  Request seeded = request;
  if (!seeded.seed) seeded.seed = draw_seed();
  const WildcardOptions options = options_in(request.wildcards);
  std::vector<Request> expanded;
  for (int64_t i = 0; i < request.images; ++i) {
    Request& single = expanded.emplace_back(single_image(seeded, i));
    single.prompt = expand_wildcards(request.prompt, {*single.seed, 0}, options);
    single.negative_prompt = expand_wildcards(request.negative_prompt, {*single.seed, 1}, options);
  }
  return expanded;
}

}  // namespace fourstep
