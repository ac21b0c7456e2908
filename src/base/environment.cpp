#include "base/environment.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"

namespace fourstep {

std::string text_from_environment(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (const char* value = std::getenv(name)) return value;
  }
  return "";
}

std::optional<int64_t> whole_number_from_environment(std::initializer_list<const char*> names,
                                                     int64_t smallest, int64_t largest) {
  for (const char* name : names) {
    const std::string text = text_from_environment({name});
    if (text.empty()) continue;
    int64_t value = 0;
    const char* const last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error == std::errc() && end == last && value >= smallest && value <= largest) return value;
    throw InvalidRequest("{}=\"{}\" is not a whole number from {} to {}", name, text, smallest,
                         largest);
  }
  return std::nullopt;
}

}  // namespace fourstep
