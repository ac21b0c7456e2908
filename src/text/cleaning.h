#pragma once
// What programs do to a prompt before they split it into words. The vocabulary is the same everywhere; this
// is where the tokens of one prompt differ between programs.

#include <string>
#include <string_view>

namespace fourstep {

enum class Cleaning {
  kNfc,  ///< NFC, white space to blanks, lower case per character: transformers >= 5, its fast tokenizers
  kOpenAi,  ///< text repair, HTML unescaping twice, lower case: OpenAI's CLIP, open_clip (bigG in A1111)
  kSlowFtfy,  ///< text repair, lower case: transformers < 5 in Python, ftfy installed
  kSlowBasic,  ///< control characters dropped, blanks around CJK, NFC, lower case: the same without ftfy
};

/// The text as words are cut from it: cleaned, in lower case, as code points. Invalid UTF-8 becomes U+FFFD.
/// "Text repair" is the work of Python's ftfy without its repair of wrongly decoded text ("Ã©" stays), and
/// knows the XML, Latin-1 and common typographic entity names alone.
std::u32string clean_text(std::string_view prompt, Cleaning cleaning);

}  // namespace fourstep
