#include "data/emoji_choice.h"

#include <set>

#include "io/checkpoint.h"

namespace fourstep {

std::optional<std::string> keep_wanted(std::vector<Emoji>& list,
                                       const std::vector<std::string>& wanted) {
  std::set<std::string> missing(wanted.begin(), wanted.end());
  std::erase_if(list, [&](const Emoji& emoji) {
    bool is_wanted = false;
    for (const std::string& text : wanted) {
      if (text != emoji.group && text != emoji.subgroup && text != emoji.name) continue;
      is_wanted = true;
      missing.erase(text);
    }
    return !is_wanted;
  });
  if (missing.empty()) return std::nullopt;
  return *missing.begin();
}

std::string emoji_groups_of(const std::string& groups, const std::filesystem::path& model) {
  if (!groups.empty()) return groups;
  if (!model.empty()) {
    const Checkpoint checkpoint = open_checkpoint(model);
    const auto found = checkpoint.metadata.find(kEmojiGroupsKey);
    if (found != checkpoint.metadata.end()) return found->second;
  }
  return kDefaultEmojiGroups;
}

}  // namespace fourstep
