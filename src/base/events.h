#pragma once
// What long work reports while it runs, and how it is told to stop: one struct that the progress
// bar, the server and the tests consume.

#include <functional>
#include <string>

#include "base/error.h"
#include "base/tensor.h"

namespace fourstep {

enum class Stage {
  kLoad,
  kFuse,
  kEncode,
  kSample,
  kDecode,
  kSave,
  kData,
  kTrain,
  kEvaluate,
  kHash
};

/// "load", "lora", "encode", "sample", "decode", "save", "data", "train", "test".
inline const char* to_string(Stage stage) {
  constexpr const char* kNames[] = {"load", "lora", "encode", "sample", "decode",
                                    "save", "data", "train",  "test",   "hash"};
  return kNames[static_cast<int>(stage)];
}

struct Progress {
  Stage stage = Stage::kLoad;
  int64_t step = 0;         ///< finished steps of this stage
  int64_t num_steps = 0;    ///< all steps of this stage; 0 when unknown
  double sigma = 0;         ///< noise level of the step just made (kSample only)
  Tensor denoised = {};     ///< [B,4,h,w], the estimate of x0 (kSample only), else undefined
  std::string values = {};  ///< what to show beside the bar (kTrain: losses); may be empty
  int64_t first_step = 0;   ///< where this process began: speed is counted from there
};

struct Events {
  std::function<void(const Progress&)> on_progress;  ///< may be empty
  std::function<bool()> is_cancelled;                ///< may be empty
  std::function<void(const std::string&)>
      on_notice;  ///< one sentence the user should know; may be empty

  /// Throws Cancelled when the user asked to stop.
  void check_cancelled() const {
    if (is_cancelled && is_cancelled()) throw Cancelled();
  }
  /// Passes `progress` on. Throws as check_cancelled().
  void report(const Progress& progress) const {
    check_cancelled();
    if (on_progress) on_progress(progress);
  }
  void notice(const std::string& sentence) const {
    if (on_notice) on_notice(sentence);
  }
};

}  // namespace fourstep
