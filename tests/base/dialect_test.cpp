#include "base/dialect.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace fourstep {
namespace {

TEST(Dialect, NamesReadBack) {
  for (const DialectRow& row : dialect_rows()) {
    EXPECT_EQ(dialect_from_name(row.name), row.dialect) << row.name;
    EXPECT_EQ(dialect_from_name(dialect_name(row.dialect)), row.dialect) << row.name;
  }
}

TEST(Dialect, RefusesAnUnknownName) {
  EXPECT_THROW(dialect_from_name("ComfyUI "), InvalidRequest);
  EXPECT_THROW(dialect_from_name(""), InvalidRequest);
}

}  // namespace
}  // namespace fourstep
