#pragma once
// Numbers about sets of pictures, and keeping them: an evaluation of hours must not begin anew when
// it is interrupted.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "evaluate/rows.h"
#include "evaluate/subject.h"

namespace fourstep {

/// How many pictures of a set show what one of the judge's questions is about.
struct Share {
  std::string set, question;
  std::optional<double> value = {};  ///< 0..1; nothing where it was not asked

  std::string name() const;  ///< "held_out_all"
};

/// Of one row. Shares are 0..1; what could not be measured has no value.
struct RowResult {
  std::string row;
  std::string kind;
  int64_t steps = 0;
  std::optional<double> cfg_scale;
  std::vector<Share> shares;  ///< set by set, in the order of the questions
  std::optional<double> frechet_features, frechet_latents;
  std::optional<double> diversity;
  std::optional<double> brightness, saturation, clipped;
  std::optional<double> latent_std, latent_hf;
  std::optional<double> seconds_per_image;
};

/// All fields but the shares. The help is the heading of the column in tables.
template <typename AnyResult, typename Visitor>
void visit_fields(AnyResult& r, Visitor&& visit) requires
    std::is_same_v<std::remove_const_t<AnyResult>, RowResult> {
  using Info = FieldInfo;
  visit(Info{"row", "row"}, r.row);
  visit(Info{"kind", ""}, r.kind);
  visit(Info{"steps", "steps"}, r.steps);
  visit(Info{"cfg_scale", "cfg"}, r.cfg_scale);
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

/// Mean and standard deviation of all numbers of some tensors together.
class NumberStats {
 public:
  void add(const Tensor& numbers);
  std::optional<double> mean() const;  ///< nothing before the first number
  std::optional<double> std() const;   ///< as a population: divided by the count

 private:
  double count_ = 0, mean_ = 0, scatter_ = 0;
};

/// What one set of prompts gave.
struct SetMeasures {
  std::vector<Verdict> verdicts = {};  ///< empty without a judge
  GaussianFit features, latents;       ///< latents: flattened; empty without autoencoder
  Tensor rows = {};        ///< [n,d] in the order of the set: the judge's features, else latents;
                           ///< of sets with several pictures per caption
  NumberStats brightness;  ///< of all pixels and channels, 0 black .. 1 white
  NumberStats saturation;  ///< largest minus smallest channel of a pixel: 0 grey .. 1
  NumberStats clipped;     ///< 1 where a channel is at the end of its range, else 0
  NumberStats latent_numbers;
  NumberStats latent_edges;            ///< squared differences of neighbours, in both directions
  std::vector<Tensor> for_sheet = {};  ///< the first pictures, uint8 [1,side,side,3]
  double seconds = 0;                  ///< for making the pictures
};

/// Where the measurement of a row is, for the progress bar.
struct MeasureProgress {
  std::string name;   ///< of the row
  int64_t total = 0;  ///< pictures of all its sets
  int64_t done = 0;   ///< counted on
};

/// What all rows share.
struct Measuring {
  PictureJudge judge;
  int64_t batch = 32;
  const Events& events;
};

/// Makes and judges all pictures of a set. Throws Cancelled.
SetMeasures measure_set(const PictureSource& source, const PromptSet& set, Measuring& measuring,
                        MeasureProgress& progress);

/// Real pictures from a source.
Reference make_reference(const PictureSource& source, const PromptSet& set, Measuring& measuring);

/// Of each judged set on the contact sheet.
constexpr size_t kSheetPictures = 4;

/// Everything about one row.
MeasuredRow measure_row(const EvaluationRow& row, const PictureSource& source,
                        const PromptSets& sets, const Reference& reference, Measuring& measuring);

}  // namespace fourstep
