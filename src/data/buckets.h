#pragma once
// Pictures of many shapes in batches of one: each goes into the bucket of the nearest aspect ratio,
// is scaled to cover it, and what sticks out is cut off evenly.

#include <cstdint>
#include <span>
#include <vector>

#include "base/tensor.h"

namespace fourstep {

/// A size that pictures are brought to, in pixels.
struct Bucket {
  int64_t width = 0, height = 0;

  bool operator==(const Bucket&) const = default;
};

/// All buckets of about resolution^2 pixels, by width: sides are multiples of the step, from a
/// quarter of the resolution to its double, and no area is above resolution^2 (rounded down to
/// steps). The step is 64 px, for small resolutions an eighth of them, in whole eights: at 128 px
/// 16 px. with_shapes: false gives the square alone.
/// resolution: 64 to 8192, a multiple of 8. Throws InvalidRequest for another one.
/// Source: kohya-ss/sd-scripts, make_bucket_resolutions() in library/model_util.py.
std::vector<Bucket> make_buckets(int64_t resolution, bool with_shapes = true);

/// How a picture gets its bucket's size.
struct Fit {
  Bucket bucket;
  int64_t resized_width = 0, resized_height = 0;  ///< before the crop, at least the bucket's
  int64_t crop_left = 0, crop_top = 0;            ///< of the resized picture
};

/// The bucket of the picture's own size if there is one, else that of the nearest aspect ratio
/// (width / height; the first of equally near ones). Source: BucketManager.select_bucket() in
/// kohya's library/train_util.py.
/// Throws Error for a strip of which the crop would leave less than an eighth: scaled to cover the
/// bucket it would be enormous.
Fit fit_to_bucket(int64_t width, int64_t height, std::span<const Bucket> buckets);

/// pixels: uint8 [H,W,3] of the size that `fit` was made for. Returns [1,3,height,width] fp32 in
/// [-1,1]. Downwards each pixel is the mean of the area that it covers, upwards bicubic.
Tensor picture_in_bucket(const Tensor& pixels, const Fit& fit);

/// The mean over areas: values [C,H,W] floating point to [C,height,width], neither larger than it
/// was. What lies partly inside counts partly.
Tensor shrink_by_area(const Tensor& values, int64_t height, int64_t width);

// The order in which training sees its pictures: whole batches of one shape, every picture as often
// as it is asked for, another order in each epoch. All of it follows from (seed, epoch) in whole
// numbers: a run that is resumed goes on where it was, on any machine.

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
