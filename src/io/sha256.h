#pragma once
// SHA-256 (FIPS 180-4) of bytes that come piece by piece.

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;  // OpenSSL's state

namespace fourstep {

/// False where the program was built without OpenSSL (FOURSTEP_MINIMAL).
bool has_sha256();

/// Each member throws Error where has_sha256() is false.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  /// 64 lower-case hexadecimal digits; nothing may follow.
  std::string finish();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

}  // namespace fourstep
