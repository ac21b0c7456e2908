#pragma once
// From the prompts of a request to texts, and from texts to what the network is shown.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/events.h"
#include "pipeline/models.h"
#include "pipeline/prompts.h"
#include "request/resolve.h"
#include "text/emphasis.h"

namespace fourstep {

/// The texts of one stage, as the encoders take them.
struct StageTexts {
  std::vector<WeightedText> parts;  ///< between the words AND; at least one
  std::string negative;
  bool operator==(const StageTexts&) const = default;
};

struct TextPlan {
  std::vector<StageTexts> stages;  ///< no two are equal
  std::vector<StageSpan> spans;
};

/// Takes AND, schedules and network tags apart by the grammar of the request's dialect; of the negative prompt
/// schedules alone, as A1111 does. Numbers in schedules count calls: twice the steps for samplers that A1111 calls of
/// second order. request: resolved.
TextPlan plan_texts(const ResolvedRequest& request);

/// Whether the negative prompt has an influence: by the CFG scale, the sampler, or weights of parts whose sum is not 1.
bool uses_negative(const ResolvedRequest& request, const StageTexts& texts);

/// What NAG leads away from: its own prompt, or the negative one.
const std::string& nag_text(const ResolvedRequest& request, const StageTexts& texts);

struct EncodedText {
  Conditioning cond;
  std::vector<std::filesystem::path> inversions;  ///< see PromptPlan
};

/// Texts that were encoded before, of requests that treat them alike; the oldest go where they have too many bytes.
struct EncodingCache {
  std::string settings = {};  ///< what the encodings depend on besides their text
  std::map<std::string, EncodedText> by_text = {};
  std::deque<std::string> order = {};  ///< the keys of by_text, oldest first
  uint64_t bytes = 0, max_bytes = 64 << 20;
};

/// Encodes all texts of a request, each once. Loads the text encoders where a text is not in the cache;
/// models.free_text_encoders() lets them go afterwards. cache: emptied when it does not fit.
/// Throws InvalidRequest for a clip_skip the model cannot do and for embeddings that are not there.
PromptPlan encode_prompts(Models& models, const ResolvedRequest& request, const Events& events,
                          EncodingCache& cache);
PromptPlan encode_prompts(Models& models, const ResolvedRequest& request, const Events& events);

}  // namespace fourstep
