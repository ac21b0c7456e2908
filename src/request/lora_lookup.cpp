#include "request/lora_lookup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "base/error.h"
#include "io/file_search.h"
#include "request/resolve.h"
#include "text/prompt_rules.h"
#include "text/prompt_scan.h"

namespace fourstep {

namespace fs = std::filesystem;

namespace {

std::string model_folder(const Request& request) {
  const fs::path folder = fs::path(request.files.model).parent_path();
  return folder.empty() ? "." : folder.string();
}

std::vector<NamedFile> known_loras(const Request& request) {
  static const std::vector<std::string> kExtensions = {".safetensors", ".pt", ".ckpt", ".bin"};
  std::vector<NamedFile> files = list_files(request.files.lora_dir, kExtensions, "--lora-dir");
  const std::string folder = model_folder(request);
  const fs::path model = fs::path(request.files.model).lexically_normal();
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) {
    for (NamedFile& file : list_files({folder}, kExtensions, "--model", /*depth=*/0)) {
      if (file.path.lexically_normal() == model) continue;
      files.push_back(std::move(file));
    }
  }
  return files;
}

std::string find_by_name(const Request& request, const std::string& name) {
  const std::vector<NamedFile> files = known_loras(request);
  if (const NamedFile* file = find_named(files, name)) return file->path.string();
  std::vector<std::string> places = request.files.lora_dir;
  places.push_back(model_folder(request));
  throw InvalidRequest("lora \"{}\": no such file, and no LoRA of this name in {}{}", name,
                       fmt::join(places, ", "), nearest_names(files, name));
}

std::string find_by_path_or_name(const Request& request, const std::string& name) {
  std::error_code ignored;  // a name that cannot be a path is none
  return fs::exists(name, ignored) ? name : find_by_name(request, name);
}

}  // namespace

Request with_lora_files(Request request) {
  check_folders(request.files.lora_dir, "--lora-dir");  // they are there, asked or not
  for (LoraUse& use : request.files.loras) use.file = find_by_path_or_name(request, use.file);
  return request;
}

Request checked_request(Request request) {
  request = with_default_model(std::move(request), find_default_model());
  validate(request);
  return with_lora_files(std::move(request));
}

std::vector<LoraUse> loras_of(const Request& request, const Events& events) {
  std::vector<LoraUse> loras = with_lora_files(request).files.loras;
  const auto tags = parse_network_tags(request.prompt.text).tags;
  const Dialect dialect = request.sampling.dialect;
  const bool has_tags = prompt_rules(dialect).syntax == PromptSyntax::kA1111;
  for (const NetworkTag& tag : tags) {
    const auto lora = lora_tag(tag);
    if (!has_tags) {
      if (lora)
        events.notice(
            fmt::format("<{}:...> is text in the dialect {}", tag.type, dialect_name(dialect)));
      continue;
    }
    if (!lora) {
      events.notice(fmt::format("<{}:...> in the prompt has no effect", tag.type));
      continue;
    }
    if (!lora->ignored.empty()) {
      events.notice(fmt::format("<lora:{}:...>: {} has no effect", lora->name,
                                fmt::join(lora->ignored, ", ")));
    }
    loras.push_back({find_by_name(request, lora->name), lora->unet_weight, lora->text_weight});
  }
  return loras;
}

}  // namespace fourstep
