#pragma once
// Training of the judge on drawn pictures, once per folder.

#include <filesystem>

#include "base/events.h"
#include "base/tensor.h"
#include "emoji/classifier.h"
#include "emoji/emoji_data.h"
#include "train/random.h"

namespace fourstep {

/// What decides a classifier and its accuracy, besides the list of emoji.
struct ClassifierTraining {
  uint64_t seed = 0;
  int64_t iterations = 5000;
  int64_t batch = 64;
  double lr = 3e-3;
  double pair_share = 0.4;   ///< more than in the data: pairs are harder
  int64_t num_tests = 2000;  ///< scenes on which the finished classifier is tested
  int64_t save_every = 100;
};

/// A classifier and how often it is right about pictures it has not trained on.
struct Judge {
  Classifier classifier{nullptr};
  Accuracy drawn;      ///< on drawn pictures as the data set has them
  Accuracy augmented;  ///< on the same ones blurred, noisy and shifted in colour (augment_pictures)
  std::string settings;
};

/// From FOLDER/classifier.safetensors where that was made with these settings and emoji; otherwise
/// trained, saved there and tested. Training goes on from FOLDER/classifier.state.safetensors. The
/// pictures are of all combinations, held-out ones too: the judge must know what it judges, and no
/// generating model learns from it.
/// Throws as run_loop.
Judge open_judge(const EmojiData& data, const ClassifierTraining& training,
                 const std::filesystem::path& folder, const Events& events);

// Small changes of drawn pictures, so that a classifier trained on them also reads those that
// networks draw.

/// Each picture gets, in its own strength: other contrast (0.8..1.2), brightness (+-0.12) and
/// colour balance (+-0.06 per channel), a blur between none and a 3x3 average (or sharpening, to a
/// third of that), and noise of standard deviation 0..0.12; in units of the range [-1,1], to which
/// the result is clamped.
/// pictures: [B,3,S,S] fp32. Each number depends on the key and its place alone.
Tensor augment_pictures(const Tensor& pictures, const RandomKey& key);

}  // namespace fourstep
