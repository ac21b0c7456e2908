#include "text/comments.h"

#include <algorithm>

namespace fourstep {
namespace {

/// From a "#" on, up to and with the line end.
size_t comment_length(std::string_view text) {
  return std::min(text.find('\n'), text.size() - 1) + 1;
}

std::string without_comment_lines(std::string_view prompt) {
  std::string text;
  for (size_t i = 0; i < prompt.size();) {
    const size_t sign = i + (prompt[i] == '\n' ? 1 : 0);
    const bool is_line = (i == 0 || sign > i) && prompt.substr(sign).starts_with('#');
    if (is_line) {
      text += '\n';
      i = sign + comment_length(prompt.substr(sign));
    } else {
      text += prompt[i++];
    }
  }
  return text;
}

std::string without_hash_comments(std::string_view prompt) {
  const std::string lines = without_comment_lines(prompt);
  const std::string_view rest = lines;
  std::string text;
  for (size_t i = 0; i < rest.size();) {
    if (rest[i] == '#') {
      text += '\n';
      i += comment_length(rest.substr(i));
    } else {
      text += rest[i++];
    }
  }
  return text;
}

/// Where a "//" comment ends: before the next line end of JavaScript.
size_t line_end(std::string_view text, size_t from) {
  size_t end = text.size();
  for (const std::string_view mark : {"\n", "\r", "\u2028", "\u2029"}) {
    end = std::min(end, text.find(mark, from));
  }
  return end;
}

std::string without_c_comments(std::string_view prompt) {
  std::string text;
  for (size_t i = 0; i < prompt.size();) {
    const std::string_view rest = prompt.substr(i);
    const size_t closing =
        rest.starts_with("/*") ? prompt.find("*/", i + 2) : std::string_view::npos;
    if (closing != std::string_view::npos) {
      i = closing + 2;
    } else if (rest.starts_with("//")) {
      i = line_end(prompt, i);
    } else {
      text += prompt[i++];
    }
  }
  return text;
}

}  // namespace

std::string without_comments(std::string_view prompt, Dialect dialect) {
  switch (dialect) {
    case Dialect::kA1111:
      return without_hash_comments(prompt);
    case Dialect::kComfy:
      return without_c_comments(prompt);
    case Dialect::kFourstep:
    case Dialect::kDiffusers:
      break;
  }
  return std::string(prompt);
}

}  // namespace fourstep
