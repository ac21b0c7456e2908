#include "io/tiny_vae_keys.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace fourstep {
namespace {

constexpr const char* kFirstWeight = "decoder.layers.0.weight";

/// The entries of one chain: what stands before the number in TAESD's and in diffusers' names, and the
/// number of diffusers' entry 0.
struct Chain {
  std::string_view native;
  const char* diffusers;
  int64_t first;
};

constexpr Chain kBareDecoder{"", "decoder", 1};
constexpr Chain kPrefixed[] = {{"taesd_encoder.", "encoder", 0}, {"taesd_decoder.", "decoder", 1}};

/// "3.conv.0.weight" -> "decoder.layers.2.conv.0.weight"; nothing for names that are not of the chain.
std::optional<std::string> renamed(const Chain& chain, std::string_view name) {
  if (!name.starts_with(chain.native)) return std::nullopt;
  name.remove_prefix(chain.native.size());
  int64_t number = -1;
  const auto [rest, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const std::string_view part = name.substr(static_cast<size_t>(rest - name.data()));
  if (error != std::errc() || number < chain.first || !part.starts_with('.')) return std::nullopt;
  return fmt::format("{}.layers.{}{}", chain.diffusers, number - chain.first, part);
}

void add_chain(const Chain& chain, const NamedTensors& file, NamedTensors& out) {
  for (const auto& [name, tensor] : file) {
    if (const auto target = renamed(chain, name)) out[*target] = tensor;
  }
}

}  // namespace

NamedTensors tiny_vae_tensors(const NamedTensors& file) {
  if (file.count(kFirstWeight)) return file;
  NamedTensors out;
  // An encoder alone has an entry 0, which cannot decode.
  const bool is_bare_decoder =
      file.count("1.weight") && file.count("3.conv.0.weight") && !file.count("0.weight");
  if (is_bare_decoder) add_chain(kBareDecoder, file, out);
  for (const Chain& chain : kPrefixed) add_chain(chain, file, out);
  return out.count(kFirstWeight) ? out : NamedTensors();
}

}  // namespace fourstep
