#pragma once
// What decides whether two spellings of a sampler or schedule are one name.

#include <string>
#include <string_view>
#include <vector>

namespace fourstep {

/// Lower case, '+' as 'p', without blanks, '_', '-', brackets, commas and quotation marks.
std::string plain_name(std::string_view name);

/// Whether `wanted` (plain) is the class name of a scheduler of diffusers, with or without its endings "Scheduler" and
/// then "Discrete" or "Multistep". class_name: any text; one that does not end with "Scheduler" is never one.
bool is_class_spelling(std::string_view class_name, std::string_view wanted);

/// The parts of a row's list of names, separated by ';'.
std::vector<std::string_view> names_in(std::string_view list);

}  // namespace fourstep
