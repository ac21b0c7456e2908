#pragma once
// The numbers of a row, and keeping them: an evaluation of hours must not begin anew when it is interrupted.

#include <filesystem>
#include <optional>
#include <string>

#include "base/fields.h"
#include "base/tensor.h"

namespace fourstep {

/// Of one row. Shares are 0..1; what could not be measured has no value.
struct RowResult {
  std::string row;
  std::string kind;
  int64_t steps = 0;
  std::optional<double> cfg_scale;
  std::optional<double> seen_emoji, seen_background, seen_relation, seen_all;
  std::optional<double> held_out_emoji, held_out_background, held_out_relation, held_out_all;
  std::optional<double> frechet_features, frechet_latents;
  std::optional<double> diversity;
  std::optional<double> brightness, saturation, clipped;
  std::optional<double> latent_std, latent_hf;
  std::optional<double> seconds_per_image;
};

/// The help is the heading of the column in tables.
template <typename AnyResult, typename Visitor>
void visit_fields(AnyResult& r, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnyResult>, RowResult> {
  using Info = FieldInfo;
  visit(Info{"row", "row"}, r.row);
  visit(Info{"kind", ""}, r.kind);
  visit(Info{"steps", "steps"}, r.steps);
  visit(Info{"cfg_scale", "cfg"}, r.cfg_scale);
  visit(Info{"seen_emoji", "seen: emoji", "%"}, r.seen_emoji);
  visit(Info{"seen_background", "background", "%"}, r.seen_background);
  visit(Info{"seen_relation", "relation", "%"}, r.seen_relation);
  visit(Info{"seen_all", "all", "%"}, r.seen_all);
  visit(Info{"held_out_emoji", "held out: emoji", "%"}, r.held_out_emoji);
  visit(Info{"held_out_background", "background", "%"}, r.held_out_background);
  visit(Info{"held_out_relation", "relation", "%"}, r.held_out_relation);
  visit(Info{"held_out_all", "all", "%"}, r.held_out_all);
  visit(Info{"frechet_features", "FD features"}, r.frechet_features);
  visit(Info{"frechet_latents", "FD latents"}, r.frechet_latents);
  visit(Info{"diversity", "diversity"}, r.diversity);
  visit(Info{"brightness", "brightness"}, r.brightness);
  visit(Info{"saturation", "saturation"}, r.saturation);
  visit(Info{"clipped", "clipped", "%"}, r.clipped);
  visit(Info{"latent_std", "latent std"}, r.latent_std);
  visit(Info{"latent_hf", "latent hf"}, r.latent_hf);
  visit(Info{"seconds_per_image", "s/image"}, r.seconds_per_image);
}

/// A measured row: its numbers and its pictures for the contact sheet, uint8 [n,side,side,3].
struct MeasuredRow {
  RowResult result;
  Tensor sheet;
};

/// Written whole or not at all. settings: all that decides the numbers.
void save_row(const std::filesystem::path& path, const MeasuredRow& row,
              const std::string& settings);

/// What save_row() wrote under the same settings; nothing when the file is not there or has others.
/// Throws Error naming the file when it is broken.
std::optional<MeasuredRow> load_row(const std::filesystem::path& path, const std::string& settings);

}  // namespace fourstep
