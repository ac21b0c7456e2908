#pragma once
// What people look at during a distillation: sheets of samples, plots, warnings, one page.

#include <string>
#include <vector>

#include "base/events.h"
#include "distill/train_step.h"
#include "pipeline/models.h"
#include "train/loop.h"

namespace fourstep {

constexpr int64_t kSheetColumns = 8;

/// Of the student's samples: standard deviation ("std"), high-frequency energy ("hf": mean squared
/// difference of neighbours), the mean of each channel ("mean0".."mean3"); and "gap", the mean of
/// g^2, in student turns.
LossRow latent_statistics(const StepResult& result);

class RunReport {
 public:
  /// Samples of the teacher are made at the first write(). side: of the pictures, in px; prompts:
  /// of the sheet's columns.
  RunReport(Models& models, const DistillConfig& config, int64_t side,
            std::vector<std::string> prompts);

  /// Writes OUT/sheet-NNNNNN.png (teacher, student in its steps and in one, what teacher and critic
  /// make of the student's noised samples) and OUT/report.html; warnings of the log's history are
  /// notices.
  /// student: the factors or weights to show.
  void write(Distillation& d, const TextEncoders& encoders, const NamedTensors& student,
             int64_t iteration, const Events& events);

 private:
  void write_page(int64_t iteration, const Events& events);

  Models& models_;
  const DistillConfig& config_;
  int64_t side_;
  std::vector<std::string> prompts_;
  Tensor teacher_latents_;
};

}  // namespace fourstep
