#pragma once
// The directory of a zip file whose entries are stored, not compressed: PyTorch's container. Source
// of the
// layout: PKWARE's APPNOTE.TXT 6.3, sections 4.3 (records) and 4.5.3 (zip64).

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

namespace fourstep {

struct ZipEntry {
  uint64_t begin = 0, end = 0;  ///< the stored bytes, from the start of the file
};

/// Entries by name. where: operation and file, for messages. Throws Error for compressed or
/// encrypted entries, names given twice, absolute or climbing ("..") names, a directory or data
/// outside the file, and archives in several parts. Check sums are not verified: that would read
/// the whole file.
std::map<std::string, ZipEntry> read_zip_directory(std::span<const std::byte> file,
                                                   const std::string& where);

}  // namespace fourstep
