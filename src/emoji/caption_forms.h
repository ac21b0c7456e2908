#pragma once
// The sentences of captions, as patterns in which {name} stands for a part. caption.cpp fills them.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "emoji/scene.h"

namespace fourstep {

/// A pattern and how often it is taken in comparison with the others of its list. The first one of
/// a list is the canonical one.
struct Form {
  std::string_view pattern;
  int64_t weight;
};

/// Whole captions. {thing}: "a small pizza"; {bare}: "small pizza"; {place}: "" or " in the top
/// left corner"; {background}: "a blue background"; {background_bare}: "blue background"; {color}:
/// "blue". With two emoji {thing} and {bare} hold both and {place} is empty.
std::span<const Form> single_forms();
std::span<const Form> pair_forms();

/// Two things and their relation, {x} being in the relation to {y}.
std::span<const Form> relation_forms(Relation relation);

/// Of a background. {first}, {second}: its colours; {a_first}: with article; {at_first},
/// {at_second}: "on the left", "at the bottom".
std::span<const Form> background_forms(BackgroundKind kind);
/// Without article, and as short as possible.
std::string_view bare_background_form(BackgroundKind kind);
std::string_view color_form(BackgroundKind kind);

std::span<const Form> small_words();
std::span<const Form> large_words();

/// " in the top left corner" and the like. x, y: 0 (left, top), 1 (middle), 2; empty in the middle
/// of both.
std::string_view place_words(int64_t x, int64_t y);

/// "on the left", "at the bottom": where the first or second colour of a background is.
std::string_view end_words(bool is_vertical, bool is_second);

/// All of the patterns above, for lists of their words.
std::vector<std::string_view> all_patterns();

// The little English grammar that captions need.

/// Whether the noun stands without article: a plural ("grapes", "nest with eggs" not) or a mass
/// ("bread").
bool is_without_article(std::string_view noun);

/// "a" or "an", by the sound with which `phrase` begins ("an egg", "a unicorn").
std::string_view indefinite_article(std::string_view phrase);

/// "a small pizza", "an egg", "small grapes". adjective: may be empty.
std::string noun_phrase(std::string_view adjective, std::string_view noun);

}  // namespace fourstep
