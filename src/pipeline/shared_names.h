#pragma once
// Names of files without the folders of the machine that they lie on: for what is shown to others.

#include <string>

#include "pipeline/request.h"

namespace fourstep {

/// The last part of a path, "/" or "\\" being between parts; "~" for the user's home, which has the user's name.
std::string shared_name(const std::string& path);

/// `request` with shared_name() for all its files and folders.
Request without_folders(Request request);

}  // namespace fourstep
