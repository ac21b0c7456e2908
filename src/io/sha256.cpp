#include "io/sha256.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "base/error.h"

#ifndef FOURSTEP_MINIMAL
#include <openssl/evp.h>
#endif

namespace fourstep {

#ifdef FOURSTEP_MINIMAL

bool has_sha256() { return false; }

Sha256::Sha256() : context_(nullptr, [](evp_md_ctx_st*) {}) {
  throw Error("SHA-256: this program was built without it");
}
void Sha256::update(std::string_view) {}
std::string Sha256::finish() { return ""; }

#else

namespace {

void check(bool ok) {
  if (!ok) throw Error("SHA-256: it is not available from OpenSSL");
}

}  // namespace

bool has_sha256() { return true; }

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  check(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::update(std::string_view bytes) {
  check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int length = 0;
  check(EVP_DigestFinal_ex(context_.get(), digest.data(), &length));
  return fmt::format("{:02x}", fmt::join(digest.begin(), digest.begin() + length, ""));
}

#endif

}  // namespace fourstep
