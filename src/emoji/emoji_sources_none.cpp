// Builds without FreeType and pugixml read emoji from a pack alone (emoji_data.h).
#ifdef FOURSTEP_MINIMAL

#include "base/error.h"
#include "emoji/emoji_sources.h"

namespace fourstep {

namespace {

[[noreturn]] void refuse() {
  throw Error(
      "this build was made without FreeType and pugixml (FOURSTEP_MINIMAL) and cannot read fonts: "
      "make a file with "
      "\"fourstep train --export-emoji FILE\" elsewhere and name it with --emoji-pack");
}

}  // namespace

struct EmojiFont::State {};

EmojiFont::EmojiFont(const std::filesystem::path&) { refuse(); }
EmojiFont::~EmojiFont() = default;
EmojiFont::EmojiFont(EmojiFont&&) noexcept = default;
EmojiFont& EmojiFont::operator=(EmojiFont&&) noexcept = default;
bool EmojiFont::has(char32_t) const { return false; }
Tensor EmojiFont::glyph(char32_t) const { refuse(); }

std::vector<Emoji> read_emoji_list(const EmojiSources&, const std::vector<std::string>&) {
  refuse();
}

}  // namespace fourstep

#endif
