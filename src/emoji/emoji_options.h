#pragma once
// The options of emoji of the commands that also work without them.

#include <concepts>
#include <filesystem>
#include <set>
#include <string>

#include "emoji/emoji_data.h"
#include "io/fields_json.h"

namespace fourstep {

/// The emoji that prompts for a model are about.
struct EmojiSettings {
  std::string emoji_groups = {};
  std::string emoji_pack = {};
  SceneConfig scenes = {};
};

template <typename AnySettings, typename Visitor>
void visit_fields(AnySettings& s, Visitor&& visit) requires
    std::same_as<std::remove_const_t<AnySettings>, EmojiSettings> {
  using Info = FieldInfo;
  visit(
      Info{"emoji_groups", "emoji of the prompts, as for train; those of the model when not given"},
      s.emoji_groups);
  visit(Info{"emoji_pack",
             "file with names and pictures of the emoji (train --export-emoji); Debian's font and "
             "lists when not given"},
        s.emoji_pack);
  visit_fields(s.scenes, visit);
}

/// Groups that are not given are those of `model` (a path; may be empty). Throws as above, and
/// InvalidRequest when a field is out of its range.
EmojiData open_emoji_data(const EmojiSettings& settings, const std::filesystem::path& model);

/// Throws InvalidRequest where an option of emoji is given without --emoji, or one of `of_files`
/// with it: no option is without effect. Config: has the members `common`, whose fields have
/// nothing to do with emoji, and `emoji`.
template <typename Config>
void check_emoji_options(const Config& config, const std::set<std::string>& of_files) {
  const auto defaults = texts_of_fields(Config()), common = texts_of_fields(config.common);
  for (const auto& [name, text] : texts_of_fields(config)) {
    if (name == "emoji" || text == defaults.at(name)) continue;
    const std::string flag = flag_name(FieldInfo{name, ""});
    if (config.emoji && of_files.count(name)) {
      throw InvalidRequest(
          "{} {}: not with --emoji, which draws prompts and pictures; leave one out", flag, text);
    }
    if (!config.emoji && !common.count(name)) {
      throw InvalidRequest("{} {}: is about drawn emoji; add --emoji", flag, text);
    }
  }
}

}  // namespace fourstep
