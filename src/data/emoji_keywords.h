#pragma once
// Which of CLDR's keywords may stand for an emoji's name in a caption.

#include <vector>

#include "data/emoji_list.h"

namespace fourstep {

/// Replaces the keywords of each emoji by at most three other wordings of its name:
///   - "dog's face" for "dog face", of animals;
///   - keywords that name the thing itself ("burger", not "lunch": a list in the source, as CLDR does not tell
///     the two apart), if no other emoji of the list has the keyword, or if it is a word of this name alone
///     ("cheese" of "cheese wedge"), and if it is not the name of another emoji.
void select_keywords(std::vector<Emoji>& list);

}  // namespace fourstep
