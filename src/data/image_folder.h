#pragma once
// A folder of pictures with captions, laid out as the users of kohya's trainers have them:
//
//   FOLDER/a.png  a.txt             used once per epoch
//   FOLDER/10_old lamp/b.jpg b.txt  ten times per epoch; without caption "old lamp" is the caption
//
// Source of the conventions: kohya-ss/sd-scripts, library/config_util.py and library/train_util.py.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fourstep {

struct FolderImage {
  std::filesystem::path path;
  std::string name;     ///< path within the folder, with '/'
  std::string group;    ///< name of its sub-folder; empty in the folder itself
  std::string caption;  ///< one line; may be empty
  int64_t repeats = 1;  ///< per epoch
};

struct ImageFolder {
  std::vector<FolderImage> images;   ///< by name
  std::vector<std::string> notices;  ///< what was left out or made up, a sentence each
};

/// Lists the folder and its sub-folders (one level; hidden ones are left out) without decoding a
/// picture. Captions: NAME.txt, else NAME.caption; of several lines the first that is not blank. A
/// sub-folder "N_words" repeats its pictures N times, and its words are the caption of those that
/// have none; elsewhere that is the empty caption. Notices: pictures without caption, captions
/// without picture, captions of several lines, pictures of formats that are not read. Throws Error
/// when the folder is none or holds no picture.
ImageFolder scan_image_folder(const std::filesystem::path& folder);

/// "10_old lamp": 10 and "old lamp"; other names: 1 and nothing.
struct FolderRule {
  int64_t repeats = 1;
  std::string caption;
};
FolderRule folder_rule_of(const std::string& name);

}  // namespace fourstep
