#pragma once
// The order in which training sees its pictures: whole batches of one shape, every picture as often as it is asked
// for, another order in each epoch. All of it follows from (seed, epoch) in whole numbers: a run that is resumed
// goes on where it was, on any machine.

#include <cstdint>
#include <vector>

namespace fourstep {

/// One picture as the order sees it.
struct OrderedImage {
  int64_t bucket = 0;   ///< pictures of equal numbers may be in one batch
  int64_t repeats = 1;  ///< per epoch, at least 1
};

class BucketOrder {
 public:
  /// batch: pictures per batch, at least 1; the last batch of a bucket may be smaller.
  BucketOrder(const std::vector<OrderedImage>& images, int64_t batch, uint64_t seed);

  int64_t batches_per_epoch() const { return batches_per_epoch_; }
  int64_t images_per_epoch() const { return images_per_epoch_; }  ///< repeats counted

  /// Indices of the pictures of a batch; `iteration` counts over all epochs.
  const std::vector<int64_t>& batch(int64_t iteration);

 private:
  std::vector<std::vector<int64_t>> batches_of(int64_t epoch) const;

  std::vector<std::vector<int64_t>> buckets_;  ///< picture indices, repeated
  int64_t batch_ = 1;
  uint64_t seed_ = 0;
  int64_t batches_per_epoch_ = 0, images_per_epoch_ = 0;
  int64_t epoch_ = -1;  ///< of epoch_batches_
  std::vector<std::vector<int64_t>> epoch_batches_;
};

}  // namespace fourstep
