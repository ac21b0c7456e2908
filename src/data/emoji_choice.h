#pragma once
// Which emoji a data set has: by group, subgroup or name, as a run's settings or its model say.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/emoji_list.h"

namespace fourstep {

/// Metadata of models that learned drawn emoji: their TrainConfig::emoji_groups.
constexpr const char* kEmojiGroupsKey = "fourstep.emoji_groups";

/// Keeps the emoji whose group, subgroup or name is one of `wanted`. Returns one of `wanted` that none has.
std::optional<std::string> keep_wanted(std::vector<Emoji>& list,
                                       const std::vector<std::string>& wanted);

/// `groups`, else those of the metadata of `model` (a path; may be empty), else the default ones.
/// Throws Error when the model cannot be read.
std::string emoji_groups_of(const std::string& groups, const std::filesystem::path& model);

}  // namespace fourstep
