#pragma once
// Textual inversions inside a LoRA file, under keys that begin with "bundle_emb.".

#include <map>
#include <optional>
#include <string>

#include "base/tensor.h"

namespace fourstep {

/// By name: the tensors as an embedding's own file has them (clip_l and clip_g, emb_params, or one under a
/// placeholder). Vectors for the output of a text encoder (OneTrainer's clip_l_out and the like) are among them.
using BundledEmbeddings = std::map<std::string, NamedTensors>;

/// "bundle_emb.my cat.clip_l" taken apart.
struct BundledKey {
  std::string name;  ///< "my cat": may have dots and blanks
  std::string part;  ///< "clip_l"; of "string_to_param.*" the "*"
};

/// Nothing for a key that does not begin with "bundle_emb.", or has no name or no part. Source: A1111's Lora extension
/// (networks.py), where the name ends at the first dot; here the parts that trainers write end it, so that a name may
/// have dots.
std::optional<BundledKey> split_bundled_key(const std::string& key);

/// Whether the part is for the output of a text encoder, which no prompt of A1111's, ComfyUI's or this program uses.
bool is_output_part(const std::string& part);

/// "mytok", "mytok and other": the names, for messages.
std::string names_text(const BundledEmbeddings& embeddings);

/// Adds those of `more`; equal tensors of one name are there once. Throws InvalidRequest naming the embedding when both
/// have it with different vectors. what: of `more`, for the message.
void add_embeddings(BundledEmbeddings& all, const BundledEmbeddings& more, const std::string& what);

/// The tensors under the keys that split_bundled_key() takes apart.
NamedTensors bundled_tensors(const BundledEmbeddings& embeddings);

}  // namespace fourstep
