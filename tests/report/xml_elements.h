#pragma once
// Reads SVG and HTML back, strictly enough to notice what a browser would mend: unclosed or crossed
// tags, bare ampersands, unquoted attributes.

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace fourstep::testing {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;
  std::string text;  ///< directly inside, entities resolved
  size_t depth = 0;  ///< 0 for the outermost

  std::string get(const std::string& key) const {
    const auto found = attributes.find(key);
    return found == attributes.end() ? "" : found->second;
  }
  double number(const std::string& key) const { return std::stod(attributes.at(key)); }
  bool has_class(const std::string& one) const {
    return (" " + get("class") + " ").find(" " + one + " ") != std::string::npos;
  }
};

inline std::string resolve_entities(std::string_view text) {
  const std::map<std::string_view, char> known = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"#39", '\''}};
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '&') {
      out += text[i];
      continue;
    }
    const size_t end = text.find(';', i);
    if (end == std::string_view::npos) throw std::runtime_error("a bare ampersand");
    out += known.at(text.substr(i + 1, end - i - 1));
    i = end;
  }
  return out;
}

/// The name and the attributes between < and > (or />).
inline XmlElement parse_tag(std::string_view tag) {
  XmlElement element;
  const size_t name_end = std::min(tag.find_first_of(" \n"), tag.size());
  element.name = tag.substr(0, name_end);
  for (size_t at = tag.find_first_not_of(" \n", name_end); at < tag.size();
       at = tag.find_first_not_of(" \n", at)) {
    const size_t equals = tag.find_first_of("= ", at);
    if (equals == std::string_view::npos || tag[equals] != '=' || tag[equals + 1] != '"')
      throw std::runtime_error("an attribute without quoted value in <" + std::string(tag));
    const size_t end = tag.find('"', equals + 2);
    element.attributes[std::string(tag.substr(at, equals - at))] =
        resolve_entities(tag.substr(equals + 2, end - equals - 2));
    at = end + 1;
  }
  return element;
}

inline bool is_void_element(const std::string& name) {
  return name == "meta" || name == "img" || name == "br";
}

/// All elements in the order in which they begin. Throws std::runtime_error for malformed text.
inline std::vector<XmlElement> parse_xml(std::string_view text) {
  std::vector<XmlElement> elements;
  std::vector<size_t> open;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = std::min(text.find('<', at), text.size());
    if (!open.empty()) elements[open.back()].text += resolve_entities(text.substr(at, begin - at));
    if (begin == text.size()) break;
    const size_t end = text.find('>', begin);
    if (end == std::string_view::npos) throw std::runtime_error("a tag without end");
    std::string_view tag = text.substr(begin + 1, end - begin - 1);
    at = end + 1;
    if (tag.starts_with("!DOCTYPE")) continue;
    if (tag.starts_with('/')) {
      if (open.empty() || elements[open.back()].name != tag.substr(1))
        throw std::runtime_error("</" + std::string(tag.substr(1)) + "> closes nothing");
      open.pop_back();
      continue;
    }
    const bool is_closed = tag.ends_with('/');
    if (is_closed) tag.remove_suffix(1);
    elements.push_back(parse_tag(tag));
    elements.back().depth = open.size();
    if (!is_closed && !is_void_element(elements.back().name)) open.push_back(elements.size() - 1);
  }
  if (!open.empty()) throw std::runtime_error("<" + elements[open.back()].name + "> stays open");
  return elements;
}

inline std::vector<XmlElement> with_class(const std::vector<XmlElement>& elements,
                                          const std::string& one) {
  std::vector<XmlElement> found;
  for (const XmlElement& element : elements) {
    if (element.has_class(one)) found.push_back(element);
  }
  return found;
}

}  // namespace fourstep::testing
