// Puts picture files of one size into a labelled grid.
// Usage: picture_grid OUT.png < GRID.json, where GRID.json has "title", "columns" and "rows", lists of labels, and
// "pictures": the files row by row, "" for an empty place.

#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "io/image.h"
#include "report/contact_sheet.h"

namespace {

using namespace fourstep;

SheetSpec read_grid(std::istream& in) {
  const auto json = nlohmann::json::parse(in);
  SheetSpec spec;
  spec.title = json.at("title");
  spec.column_labels = json.at("columns");
  spec.row_labels = json.at("rows");
  spec.num_columns = static_cast<int64_t>(spec.column_labels.size());
  for (const std::string file : json.at("pictures")) {
    spec.cells.push_back(file.empty() ? SheetCell{} : SheetCell{read_image(file).pixels});
  }
  return spec;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw InvalidRequest(std::string("usage: picture_grid OUT.png < GRID.json"));
    write_image(argv[1], contact_sheet(read_grid(std::cin)));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "picture_grid: {}\n", error.what());
    return 2;
  }
}
