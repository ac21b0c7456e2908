#pragma once
// What programs do to a prompt before they split it into words. The vocabulary is the same
// everywhere; this is where the tokens of one prompt differ between programs.

#include <string>
#include <string_view>

namespace fourstep {

// What a text becomes in Python's ftfy: the glitches of copying and pasting put right.

/// HTML entities (in lines before the first "<"), wrongly decoded text, C1 controls, Latin
/// ligatures, half and full width, curly quotes, line ends, terminal escapes and control
/// characters, then NFC: over and over until nothing changes, 32 times at most. Lines are treated
/// one by one.
/// Source: ftfy 6.3.1, `fix_text` with its default settings, by its results.
std::u32string repair_text(std::u32string_view text);

enum class Cleaning {
  /// NFC, white space to blanks, lower case per character: transformers >= 5, its fast tokenizers
  kNfc,
  /// text repair, HTML unescaping twice, lower case: OpenAI's CLIP, open_clip (bigG in A1111)
  kOpenAi,
  /// text repair, lower case: transformers < 5 in Python, ftfy installed (Forge, CLIP-L in A1111)
  kSlowFtfy,
  /// control characters dropped, blanks around CJK, NFC, lower case: the same without ftfy
  kSlowBasic,
};

/// The text as words are cut from it: cleaned, in lower case, as code points. Invalid UTF-8 becomes
/// U+FFFD. Text repair is repair_text(). Characters that Unicode has added lately keep what the
/// installed ICU says.
std::u32string clean_text(std::string_view prompt, Cleaning cleaning);

/// Whether the literal texts "<|startoftext|>" and "<|endoftext|>" are cut out before anything is
/// cleaned, so that the text on both sides of them is cleaned by itself: in transformers.
bool keeps_special_tokens(Cleaning cleaning);

}  // namespace fourstep
