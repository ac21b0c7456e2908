#pragma once
// What stands in a prompt besides the words to be drawn: tags of networks, AND, comments, weights
// that are not written as they should be; and small steps of the parsers.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dialect.h"
#include "base/step_weights.h"
#include "text/emphasis.h"

namespace fourstep {

/// Blanks, tabs and line ends.
bool is_blank(char c);

/// Whether no letter, digit or underscore touches text[begin,end) from outside. text: UTF-8.
bool is_whole_word(std::string_view text, size_t begin, size_t end);

/// Without the blanks at its end, or at both ends.
std::string_view without_blanks_behind(std::string_view text);
std::string_view without_blanks(std::string_view text);

// "<lora:name:0.8>" and its relatives: networks named inside a prompt, and taken out of it before
// it is read.

/// <type:a:b:key=value>
struct NetworkTag {
  std::string type;
  std::vector<std::string> positional;
  std::map<std::string, std::string> named;
};

struct TaggedPrompt {
  std::string text;  ///< the prompt without its tags
  std::vector<NetworkTag> tags;
};

/// Takes any bytes and never fails. Source: the behaviour of A1111's and Forge's extra networks.
TaggedPrompt parse_network_tags(std::string_view prompt);

/// What a tag asks of a LoRA.
struct LoraTag {
  std::string name;
  double text_weight = 1;            ///< of step 0: text encoders run once, before it
  StepWeights unet_weight = {};      ///< the text encoders' where the tag gives one
  std::vector<std::string> ignored;  ///< names of settings that have no effect here, such as "dyn"
};

/// <lora:NAME>, <lora:NAME:TEXT>, <lora:NAME:TEXT:UNET>, with te= and unet= instead of the numbers;
/// "lyco" is another word for "lora". Weights may change over the steps (step_weights_from_text()).
/// Nothing for tags of another type. Throws InvalidRequest naming the tag when it has no name or a
/// weight is none.
std::optional<LoraTag> lora_tag(const NetworkTag& tag);

// "a cat AND a dog :0.5": several prompts that act on one picture, each with a weight of its own.

/// The parts between the words AND, at least one. A part may end in " :weight", so a whole prompt
/// may too; blanks at the end of a part do not belong to it. Takes any bytes and never fails.
/// Source: the behaviour of A1111's and Forge's `get_multicond_prompt_list`.
std::vector<WeightedText> parse_composition(std::string_view prompt);

// Notes in prompts that are not meant for the model.

/// The prompt as the dialect's program leaves it. A1111 and Forge: from "#" to the end of the line,
/// the line end stays, and a line that begins with "#" leaves one for both of its ends. ComfyUI:
/// "//" to the end of the line and "/* ... */", wherever they stand, in "https://..." too. This
/// program's own dialect and diffusers know no comments.
/// Source: A1111's script `comments.py`, ComfyUI's front end (`processDynamicPrompt`), by their
/// results.
std::string without_comments(std::string_view prompt, Dialect dialect);

// Weights in prompts that are not written as the grammar has them, and so would be drawn as words.

struct WeightSlip {
  std::string text;  ///< ":1,2)" of "(cat:1,2)"
  std::string hint;  ///< number_hint(): " (write 1.2 with a point)"
};

/// The first weight in round brackets with a decimal comma, a percent sign or the like.
std::optional<WeightSlip> find_weight_slip(std::string_view prompt);

}  // namespace fourstep
