#pragma once
// What an evaluation is about, beside the models: the prompts, the real pictures that it compares
// with, and who says what a picture shows. From files here; emoji/evaluation.h has another one.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/events.h"
#include "evaluate/config.h"
#include "evaluate/distances.h"
#include "pipeline/models.h"

namespace fourstep {

struct PromptSet {
  std::string name = {};
  std::vector<std::string> captions = {};
  uint64_t first_seed = 0;  ///< picture i is made from this plus i
  int64_t per_caption = 1;  ///< pictures of one caption, one after another

  int64_t count() const { return static_cast<int64_t>(captions.size()); }
};

struct PromptSets {
  /// Each is judged; the pictures of the first one tell the distances to real ones, brightness and
  /// spread.
  std::vector<PromptSet> judged = {};
  PromptSet diversity = {};
};

/// Gives the sets noise seeds that do not meet, in order, from `seed` on.
void give_seeds(const std::vector<PromptSet*>& sets, uint64_t seed);

struct Pictures {
  Tensor images;   ///< [B,3,side,side] fp32 on the CPU, in [-1,1]
  Tensor latents;  ///< [B,4,h,w] fp32 on the CPU, times the factor; undefined without autoencoder
  double seconds = 0;  ///< for making the images
};

/// Pictures begin .. begin + count - 1 of a set.
using PictureSource = std::function<Pictures(const PromptSet& set, int64_t begin, int64_t count)>;

/// The answers about one picture, in the order of PictureJudge::questions: right, wrong, or not
/// asked.
using Verdict = std::vector<std::optional<bool>>;

struct Judged {
  Tensor features;                ///< [B,d] fp32, the space of distances and diversity
  std::vector<Verdict> verdicts;  ///< one per picture
};

/// How often a judge is right itself.
struct JudgeTest {
  std::string name, pictures;  ///< "drawn", "on drawn pictures it was not trained on"
  std::vector<std::optional<double>> shares;  ///< 0..1, one per question
};

/// Tells what pictures show. Without `judge` nobody does, and latents are the space of the
/// diversity.
struct PictureJudge {
  std::vector<std::string> questions = {};
  /// images: [B,3,S,S] of the pictures of `set` from `begin` on.
  std::function<Judged(const PromptSet& set, int64_t begin, const Tensor& images)> judge = {};
  std::vector<JudgeTest> tests = {};
  std::string settings = {};  ///< all that decides its answers
};

/// Real pictures to compare with; nothing where there are none.
struct Reference {
  std::optional<Gaussian> features = {}, latents = {};
};

struct Measuring;

struct EvaluationSubject {
  int64_t side = 0;  ///< of the pictures, in px; 0: the native one of --model
  PromptSets sets = {};
  std::string settings = {};  ///< all that decides side, prompts and real pictures
  /// Called once, after all settings were checked; empty: nobody judges.
  std::function<PictureJudge(const Events& events)> open_judge = {};
  /// Real pictures of the prompts, encoded by `models` (may be null); empty: there is no such row.
  std::function<PictureSource(Models* models)> real = {};
  /// Empty: no distances. side: of the pictures, in px.
  std::function<Reference(Models* models, int64_t side, Measuring& measuring)> reference = {};
};

/// Prompts from config.prompts, in turn; real pictures from the folder config.data, if it is named.
/// Throws InvalidRequest when no file of prompts is named, Error when it or the folder cannot be
/// read.
EvaluationSubject subject_from_files(const EvaluateConfig& config);

}  // namespace fourstep
