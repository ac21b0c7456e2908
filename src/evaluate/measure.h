#pragma once
// Numbers about sets of pictures.

#include "base/events.h"
#include "evaluate/classifier_training.h"
#include "evaluate/frechet.h"
#include "evaluate/results.h"
#include "evaluate/sources.h"

namespace fourstep {

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
  std::vector<Judgement> judgements;
  GaussianFit features, latents;  ///< latents: flattened; empty without autoencoder
  Tensor feature_rows;            ///< [n,d] in the order of the set
  NumberStats brightness;         ///< of all pixels and channels, 0 black .. 1 white
  NumberStats saturation;         ///< largest minus smallest channel of a pixel: 0 grey .. 1
  NumberStats clipped;            ///< 1 where a channel is at the end of its range, else 0
  NumberStats latent_numbers;
  NumberStats latent_edges;       ///< squared differences of neighbours, in both directions
  std::vector<Tensor> for_sheet;  ///< the first pictures, uint8 [1,side,side,3]
  double seconds = 0;             ///< for making the pictures
};

/// Where the measurement of a row is, for the progress bar.
struct MeasureProgress {
  std::string name;   ///< of the row
  int64_t total = 0;  ///< pictures of all its sets
  int64_t done = 0;   ///< counted on
};

/// What all rows share.
struct Measuring {
  Classifier classifier{nullptr};
  int64_t batch = 32;
  const Events& events;
};

/// Makes and judges all pictures of a set. Throws Cancelled.
SetMeasures measure_set(const PictureSource& source, const PromptSet& set, Measuring& measuring,
                        MeasureProgress& progress);

/// Real pictures to compare with; nothing where --samples is 0 or there is no autoencoder.
struct Reference {
  std::optional<Gaussian> features, latents;
};
Reference make_reference(const PictureSource& source, const PromptSet& set, Measuring& measuring);

/// Of each split on the contact sheet.
constexpr size_t kSheetPictures = 4;

/// Everything about one row.
MeasuredRow measure_row(const EvaluationRow& row, const PictureSource& source,
                        const PromptSets& sets, const Reference& reference, Measuring& measuring);

}  // namespace fourstep
