#include "io/sha256.h"

#include <gtest/gtest.h>

namespace fourstep {
namespace {

// Expected digests: FIPS 180-4's examples, as NIST publishes them.
TEST(Sha256, ItIsTheStandards) {
  if (!has_sha256()) GTEST_SKIP();
  Sha256 abc, blocks;
  abc.update("abc");
  EXPECT_EQ(abc.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  for (const char* part : {"abcdbcdecdefdefgefghfghi", "", "ghijhijkijkljklmklmnlmnomnopnopq"})
    blocks.update(part);
  EXPECT_EQ(blocks.finish(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

}  // namespace
}  // namespace fourstep
