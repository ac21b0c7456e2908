#include "train/latent_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "support/golden.h"
#include "support/pictures.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class LatentCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::write_two_pictures(data());
    events_.on_notice = [this](const std::string& notice) { notices_.push_back(notice); };
  }
  std::filesystem::path data() const { return folder_.path() / "data"; }
  std::filesystem::path file() const { return folder_.path() / "latents.safetensors"; }

  /// A latent cell is the mean of its 8x8 pixels.
  TrainingImages encode(const std::string& identity = "pool") {
    const LatentEncoder encoder{[this](const Tensor& image) {
                                  ++num_encoded_;
                                  return torch::avg_pool2d(image, 8);
                                },
                                identity};
    num_encoded_ = 0;
    return encode_images(scan_image_folder(data()), {file(), buckets_}, encoder, events_);
  }

  testing::TemporaryFolder folder_;
  std::vector<Bucket> buckets_ = make_buckets(64);
  int num_encoded_ = 0;
  Events events_;
  std::vector<std::string> notices_;
};

TEST_F(LatentCacheTest, GivesLatentsWithTheSizesThatSdxlIsTold) {
  const TrainingImages found = encode();
  ASSERT_THAT(found.images, SizeIs(2));
  const TrainingImage& lying = found.images[0];
  EXPECT_EQ(lying.name, "lying.png");
  EXPECT_EQ(lying.caption, "a cat");
  EXPECT_EQ(lying.size.original_width, 96);
  EXPECT_EQ(lying.size.original_height, 64);
  EXPECT_EQ(lying.latent.sizes(),
            (Shape{3, lying.size.target_height / 8, lying.size.target_width / 8}));
  EXPECT_GT(lying.size.target_width, lying.size.target_height);
  EXPECT_LT(found.images[1].size.target_width, found.images[1].size.target_height);
  EXPECT_EQ(lying.latent.scalar_type(), torch::kFloat16);
}

TEST_F(LatentCacheTest, EncodesEachPictureOnce) {
  const TrainingImages first = encode();
  EXPECT_EQ(num_encoded_, 2);
  const TrainingImages second = encode();
  EXPECT_EQ(num_encoded_, 0);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(torch::equal(first.images[i].latent, second.images[i].latent));
    EXPECT_EQ(first.images[i].size.crop_left, second.images[i].size.crop_left);
  }
  EXPECT_EQ(first.fingerprint, second.fingerprint);
}

TEST_F(LatentCacheTest, EncodesAgainWhatChanged) {
  const std::string before = encode().fingerprint;
  write_image(data() / "lying.png", {testing::drawn_disc(96, 64, {0, 0, 0}, {9, 9, 9}), {}, {}});
  const TrainingImages changed = encode();
  EXPECT_EQ(num_encoded_, 1);
  EXPECT_LT(changed.images[0].latent.max().item<double>(), -0.9) << "the dark picture";
  EXPECT_NE(changed.fingerprint, before);

  encode("another autoencoder");
  EXPECT_EQ(num_encoded_, 2);
  buckets_ = make_buckets(64, false);
  encode("another autoencoder");
  EXPECT_EQ(num_encoded_, 2) << "other shapes";
}

TEST_F(LatentCacheTest, KnowsAChangedCaptionWithoutEncodingAgain) {
  const std::string before = encode().fingerprint;
  testing::write_file(data() / "lying.txt", "a dog");
  const TrainingImages changed = encode();
  EXPECT_EQ(num_encoded_, 0);
  EXPECT_EQ(changed.images[0].caption, "a dog");
  EXPECT_NE(changed.fingerprint, before);
}

TEST_F(LatentCacheTest, LeavesOutWhatCannotBeReadAndNamesIt) {
  testing::write_file(data() / "broken.png", "\x89PNG\r\n\x1A\n and then nothing");
  testing::write_file(data() / "broken.txt", "x");
  EXPECT_THAT(encode().images, SizeIs(2));
  ASSERT_THAT(notices_, SizeIs(1));
  EXPECT_THAT(notices_[0],
              HasSubstr("1 of 3 images cannot be used and are left out: broken.png ("));
  EXPECT_THAT(encode().images, SizeIs(2)) << "and so every time";
  EXPECT_EQ(num_encoded_, 0);

  std::filesystem::remove(data() / "lying.png");
  std::filesystem::remove(data() / "standing.png");
  EXPECT_THAT(testing::message_of<Error>([&] { encode(); }), HasSubstr("none of the 1 images"));
}

TEST_F(LatentCacheTest, MakesABrokenFileAnew) {
  for (const char* content : {"", "no tensors", "{}"}) {
    testing::write_file(file(), content);
    EXPECT_THAT(encode().images, SizeIs(2));
    EXPECT_EQ(num_encoded_, 2) << content;
  }
  write_safetensors(
      file(), {{"0", torch::zeros({3, 1, 1})}},
      {{"encoder", "pool"}, {"images", R"([{"name": "lying.png", "bytes": "many"}])"}});
  encode();
  EXPECT_EQ(num_encoded_, 2);
  EXPECT_THAT(notices_, IsEmpty());
}

TEST_F(LatentCacheTest, KeepsWhatWasMadeWhenTheUserStops) {
  int reports = 0;
  events_.is_cancelled = [&reports] { return ++reports > 1; };
  EXPECT_THROW(encode(), Cancelled);
  EXPECT_EQ(num_encoded_, 1);
  events_.is_cancelled = {};
  encode();
  EXPECT_EQ(num_encoded_, 1);
}

TEST(Fingerprint, SeesEachBitAndEachName) {
  const Tensor weight = torch::randn({4, 5});
  Tensor changed = weight.clone();
  changed[2][3] += 1e-6;
  const std::string before = fingerprint_of(NamedTensors{{"a", weight}});
  EXPECT_EQ(fingerprint_of(NamedTensors{{"a", weight.clone()}}), before);
  EXPECT_NE(fingerprint_of(NamedTensors{{"a", changed}}), before);
  EXPECT_NE(fingerprint_of(NamedTensors{{"b", weight}}), before);
}

}  // namespace
}  // namespace fourstep
