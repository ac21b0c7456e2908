#include "io/mapped_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "io/safetensors.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::HasSubstr;
using testing::message_of;

TEST(MappedFile, RefusesWhatIsNoPlainFile) {
  const testing::TemporaryFolder folder;
  const auto refusal = [](const std::filesystem::path& path) {
    return message_of<Error>([&] { MappedFile::open(path, "load"); });
  };
  EXPECT_THAT(refusal(folder.path()), HasSubstr("this is a folder"));
  EXPECT_THAT(refusal(folder.path() / "missing"), HasSubstr("No such file"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("device or pipe"));
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(refusal(folder.path() / "pipe"), HasSubstr("device or pipe"));
}

TEST(MappedFile, AnEmptyFileHasNoBytes) {
  const testing::TemporaryFolder folder;
  const auto path = testing::write_file(folder.path() / "empty", "");
  EXPECT_TRUE(MappedFile::open(path, "load")->bytes().empty());
}

/// Pages of this process's page table, so that pages in the kernel's cache alone do not count.
size_t resident_kilobytes(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  const std::string wanted = fmt::format("{:x}-", reinterpret_cast<uintptr_t>(address));
  bool found = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(wanted)) found = true;
    if (found && line.starts_with("Rss:")) return std::stoul(line.substr(4));
  }
  return 0;
}

TEST(MappedFile, DroppedPagesLeaveMemoryAndAreReadAgainWhenUsed) {
  const testing::TemporaryFolder folder;
  const auto path = folder.path() / "x.safetensors";
  const Tensor values = torch::arange(1 << 20, torch::kFloat32);  // 4 MiB
  write_safetensors(path, {{"w", values}});
  const TensorFile file = open_safetensors(path);
  const Tensor& w = file.tensors.at("w");
  EXPECT_TRUE(torch::equal(w, values));
  const void* start = file.mapping->bytes().data();
  EXPECT_GE(resident_kilobytes(start), 4096u);
  drop_pages(w.view({1 << 10, 1 << 10}).t());
  EXPECT_LE(resident_kilobytes(start), 64u);
  EXPECT_TRUE(torch::equal(w, values));
}

TEST(MappedFile, DroppingOtherMemoryDoesNothing) {
  const testing::TemporaryFolder folder;
  const auto path = testing::write_file(folder.path() / "x", std::string(100'000, 'x'));
  const auto mapping = MappedFile::open(path, "load");
  const Tensor other = torch::full({1 << 16}, 7.0f);
  drop_pages(other);
  drop_pages(Tensor());
  mapping->drop(mapping->bytes().data() + 50'000, 1 << 20);  // reaches beyond the mapping
  EXPECT_EQ(other.sum().item<float>(), 7.0f * (1 << 16));
}

}  // namespace
}  // namespace fourstep
