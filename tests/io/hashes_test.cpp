#include "io/hashes.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

#ifndef FOURSTEP_MINIMAL

namespace fourstep {
namespace {

using testing::write_file;

// SHA-256 of the empty text and of "abc": FIPS 180-2, appendix B.1, and NIST's test vectors.
constexpr const char* kSha256OfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr const char* kSha256OfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(FileHashes, OfAShortFile) {
  const testing::TemporaryFolder folder;
  const auto hashes = compute_hashes(write_file(folder.path() / "x.ckpt", "abc"));
  ASSERT_TRUE(hashes);
  EXPECT_EQ(hashes->sha256, kSha256OfAbc);
  EXPECT_EQ(hashes->auto_v2, "ba7816bf8f");
  EXPECT_EQ(hashes->auto_v1, std::string(kSha256OfNothing).substr(0, 8));
  EXPECT_FALSE(hashes->auto_v3);
}

TEST(FileHashes, AutoV1IsOfTheBytesAtOneMebibyte) {
  const testing::TemporaryFolder folder;
  const auto path = write_file(folder.path() / "x", std::string(0x100000, 'x') + "abc");
  EXPECT_EQ(compute_hashes(path)->auto_v1, std::string(kSha256OfAbc).substr(0, 8));
  // Made by Python: hashlib.sha256(b"a" * 0x10000).hexdigest()[:8].
  const std::string longer =
      std::string(0x100000, 'x') + std::string(0x10000, 'a') + std::string(0x500000, 'x');
  EXPECT_EQ(compute_hashes(write_file(path, longer))->auto_v1, "bf718b6f");
}

TEST(FileHashes, AutoV3IsOfTheDataAndNotOfTheMetadata) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  const Tensor abc = torch::tensor({'a', 'b', 'c'}, torch::kUInt8);
  write_safetensors(path, {{"w", abc}});
  const auto plain = compute_hashes(path);
  write_safetensors(path, {{"w", abc}}, {{"title", "edited"}});
  const auto edited = compute_hashes(path);
  EXPECT_EQ(plain->auto_v3, std::string(kSha256OfAbc).substr(0, 12));
  EXPECT_EQ(edited->auto_v3, plain->auto_v3);
  EXPECT_NE(edited->sha256, plain->sha256);
}

TEST(FileHashes, AutoV3SpansTheBlocksOfALargeFile) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  constexpr int64_t kBytes = 9'000'000;  // blocks have 4 MiB
  write_safetensors(path, {{"w", torch::arange(kBytes).remainder(251).to(torch::kUInt8)}});
  // Made by Python: hashlib.sha256(bytes(i % 251 for i in range(9_000_000))).hexdigest()[:12].
  EXPECT_EQ(compute_hashes(path)->auto_v3, "50e15bcc0d69");
}

TEST(FileHashes, ProgressReachesTheEndAndMayStopTheWork) {
  const testing::TemporaryFolder folder;
  const auto path = write_file(folder.path() / "x", std::string(10'000'000, 'x'));
  std::vector<uint64_t> seen;
  compute_hashes(path, [&](uint64_t done, uint64_t total) {
    EXPECT_EQ(total, 10'000'000u);
    seen.push_back(done);
  });
  EXPECT_GT(seen.size(), 1u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 10'000'000u);
  EXPECT_THROW(compute_hashes(path, [](uint64_t, uint64_t) { throw Cancelled(); }), Cancelled);
  EXPECT_THROW(compute_hashes(folder.path()), Error);
}

}  // namespace
}  // namespace fourstep

#endif
