#include "pipeline/tokenizer_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include "request/resources.h"
#include "text/bpe.h"

namespace fourstep {
namespace {

constexpr const char* kStart = "<|startoftext|>";
constexpr const char* kEnd = "<|endoftext|>";

nlohmann::ordered_json special_tokens(const char* padding) {
  return {{"bos_token", kStart}, {"eos_token", kEnd}, {"unk_token", kEnd}, {"pad_token", padding}};
}

constexpr int64_t kBytesAndMarks = 514;  // tokens of one byte, start and end

/// A header line, then as many merges as count.
std::string merges_file(const std::string& text, int64_t count) {
  const bool has_header = text.starts_with("#version");
  std::string file = has_header ? "" : "#version: 0.2\n";
  size_t end = 0;
  for (int64_t lines = 0; lines < count + (has_header ? 1 : 0) && end < text.size(); ++lines) {
    end = std::min(text.find('\n', end), text.size() - 1) + 1;
  }
  return file + text.substr(0, end);
}

}  // namespace

std::map<std::string, std::string> tokenizer_files(const Checkpoint& checkpoint) {
  const Vocabulary vocabulary = find_vocabulary(checkpoint);
  const Tokenizer tokenizer(vocabulary.merges_text, vocabulary.source);
  std::map<std::string, int64_t> ids;
  for (int64_t id = 0; id < tokenizer.vocab_size(); ++id) ids[tokenizer.token_text(id)] = id;
  std::map<std::string, std::string> files;
  for (const auto& [component, folder, padding] :
       {std::tuple{Component::kTextEncoder, "tokenizer/", kEnd},
        std::tuple{Component::kTextEncoder2, "tokenizer_2/", "!"}}) {
    if (!checkpoint.has(component)) continue;
    const std::string prefix = folder;
    nlohmann::ordered_json config = special_tokens(padding);
    config["tokenizer_class"] = "CLIPTokenizer";
    config["model_max_length"] = 77;
    config["do_lower_case"] = true;
    config["add_prefix_space"] = false;
    files[prefix + "tokenizer_config.json"] = config.dump(2) + "\n";
    files[prefix + "special_tokens_map.json"] = special_tokens(padding).dump(2) + "\n";
    files[prefix + "vocab.json"] = nlohmann::json(ids).dump() + "\n";
    files[prefix + "merges.txt"] =
        merges_file(vocabulary.merges_text, tokenizer.vocab_size() - kBytesAndMarks);
  }
  return files;
}

}  // namespace fourstep
