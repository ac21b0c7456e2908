#include "evaluate/results.h"

#include "base/error.h"
#include "io/safetensors.h"

namespace fourstep {

namespace {

constexpr const char* kSettings = "settings";
constexpr const char* kSheet = "sheet";

}  // namespace

void save_row(const std::filesystem::path& path, const MeasuredRow& row,
              const std::string& settings) {
  Metadata metadata{{kSettings, settings}};
  visit_fields(row.result, [&](const FieldInfo& field, const auto& value) {
    metadata[std::string(field.name)] = text_from_value(value);
  });
  std::filesystem::create_directories(path.parent_path());
  write_safetensors(path, {{kSheet, row.sheet}}, metadata);
}

std::optional<MeasuredRow> load_row(const std::filesystem::path& path,
                                    const std::string& settings) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const TensorFile file = open_safetensors(path);
  const auto found = file.metadata.find(kSettings);
  if (found == file.metadata.end() || found->second != settings) return std::nullopt;
  const auto sheet = file.tensors.find(kSheet);
  if (sheet == file.tensors.end()) {
    throw Error("\"{}\" is no row of an evaluation: it has no \"{}\"; remove it", path.string(),
                kSheet);
  }
  check_shape(sheet->second, {-1, -1, -1, 3}, path.string());
  MeasuredRow row;
  row.sheet = sheet->second.clone();
  visit_fields(row.result, [&](const FieldInfo& field, auto& value) {
    const auto text = file.metadata.find(std::string(field.name));
    if (text != file.metadata.end()) value_from_text(field, text->second, value);
  });
  return row;
}

}  // namespace fourstep
