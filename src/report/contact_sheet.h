#pragma once
// A grid of pictures with a title, labels at its rows and columns, and captions: what a training
// run shows at each evaluation and a sweep at its end.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "io/image.h"
#include "report/text_drawing.h"

namespace fourstep {

struct SheetCell {
  Tensor pixels;             ///< uint8 [H,W,3] on the CPU, or undefined: the place stays empty
  std::string caption = {};  ///< below the picture; may be empty
};

struct SheetSpec {
  std::vector<SheetCell> cells;  ///< row by row; the last row may be short
  int64_t num_columns = 1;
  std::string title = {};                       ///< above all; at most two lines
  std::vector<std::string> column_labels = {};  ///< empty, or one per column
  std::vector<std::string> row_labels = {};     ///< empty, or one per row
  bool is_dark = false;                         ///< light text on near black, else dark on white
  int64_t max_caption_lines = 2;                ///< what does not fit ends in an ellipsis
  double text_px = 0;                           ///< size of the text; 0 chooses by the cell's width
  std::filesystem::path font_path = kDefaultFont;  ///< read only where there is text
};

/// The sheet as an image without alpha. All pictures must have one size.
/// Throws InvalidRequest when there is no picture, a size differs, labels do not match the grid, or
/// the sheet would be larger than kMaxImageSidePx; Error when there is text and its font cannot be
/// read (see Font). Builds that cannot draw text leave it out.
Image contact_sheet(const SheetSpec& spec);

/// The file of a run's sheet: "sheet-000500.png".
std::string sheet_name(int64_t iteration);

}  // namespace fourstep
