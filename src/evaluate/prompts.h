#pragma once
// The prompts of an evaluation: the same scenes, captions and seeds for all rows.

#include <string>
#include <vector>

#include "data/emoji_data.h"
#include "evaluate/config.h"

namespace fourstep {

struct PromptSet {
  std::string name;  ///< "seen", "held out", "diversity", "reference"
  std::vector<Scene> scenes;
  std::vector<std::string> captions;  ///< main_caption() of each
  uint64_t first_seed = 0;            ///< picture i is made from this plus i
  int64_t per_caption = 1;            ///< pictures of one caption, one after another

  int64_t count() const { return static_cast<int64_t>(scenes.size()); }
};

/// The streams of scenes are not those of training or of the classifier, so even pictures of seen combinations are
/// new in place, size and direction.
struct PromptSets {
  PromptSet seen;       ///< max(samples, prompts) scenes of the training split
  PromptSet held_out;   ///< `prompts` scenes of the held-out split; none where nothing is held out
  PromptSet diversity;  ///< diversity_samples scenes of each caption, one after another
  PromptSet reference;  ///< as many as `seen`, other ones; none where samples is 0
};

PromptSets make_prompt_sets(const EmojiData& data, const EvaluateConfig& config);

}  // namespace fourstep
