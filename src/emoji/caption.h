#pragma once
// Scenes in words.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emoji/scene.h"

namespace fourstep {

/// The one canonical description, which leaves out nothing but mirroring, exact places and the
/// direction of gradients and halves: "a pizza on a blue background", "a small pizza in the top
/// left corner, on a ...", "a pizza to the left of a dog face, on a background that fades from red
/// to blue", "..., on a half red, half blue background". Lower case, no full stop.
std::string main_caption(const Scene& scene, std::span<const Emoji> emoji);

/// A true description in one of many forms, chosen by (seed, index): other sentences or bare words,
/// keywords for names, relations said from either side, size, place or background left out now and
/// then. The canonical one is among them.
std::string make_caption(const Scene& scene, std::span<const Emoji> emoji, uint64_t seed,
                         int64_t index);

/// Sorted: all words of which captions of these emoji consist, commas aside.
std::vector<std::string> caption_words(std::span<const Emoji> emoji);

// The little English grammar that captions need.

/// Whether the noun stands without article: a plural ("grapes", "nest with eggs" not) or a mass
/// ("bread").
bool is_without_article(std::string_view noun);

/// "a" or "an", by the sound with which `phrase` begins ("an egg", "a unicorn").
std::string_view indefinite_article(std::string_view phrase);

/// "a small pizza", "an egg", "small grapes". adjective: may be empty.
std::string noun_phrase(std::string_view adjective, std::string_view noun);

}  // namespace fourstep
