#include "report/csv_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <random>

#include "base/error.h"
#include "support/files.h"
#include "support/golden.h"

namespace fourstep {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::message_of;
using testing::read_file;
using testing::write_file;

using Values = std::vector<double>;

class CsvLogFile : public ::testing::Test {
 protected:
  std::filesystem::path path() const { return folder_.path() / "log.csv"; }
  testing::TemporaryFolder folder_;
};

/// The numbers that a deterministic training run would have at an iteration.
Values row_of(int64_t iteration) {
  std::mt19937_64 generator(static_cast<uint64_t>(iteration));
  std::lognormal_distribution<double> loss(0, 3);
  return {loss(generator), -loss(generator)};
}

void train(const std::filesystem::path& path, int64_t from, int64_t to) {
  CsvLog log(path, {"loss", "gradient"}, from);
  for (int64_t i = from; i < to; ++i) log.append(i, row_of(i));
}

TEST_F(CsvLogFile, HoldsAHeaderAndTheShortestNumbers) {
  CsvLog log(path(), {"loss", "lr"});
  log.append(0, Values{0.1, 1e-5});
  log.append(1000000, Values{3, std::nan("")});
  log.append(1000001, Values{-HUGE_VAL, 1.0 / 3});
  EXPECT_EQ(read_file(path()),
            "iteration,loss,lr\n0,0.1,1e-05\n1000000,3,nan\n1000001,-inf,0.3333333333333333\n");
}

TEST_F(CsvLogFile, RowsAreThereBeforeTheLogIsClosed) {
  CsvLog log(path(), {"loss"});
  log.append(5, Values{2});
  EXPECT_EQ(read_file(path()), "iteration,loss\n5,2\n");
}

TEST_F(CsvLogFile, NumbersReadBackExactly) {
  train(path(), 0, 200);
  const CsvData data = read_csv(path());
  EXPECT_THAT(data.names, ElementsAre("iteration", "loss", "gradient"));
  ASSERT_EQ(data.columns[0].size(), 200U);
  for (int64_t i = 0; i < 200; ++i) {
    const auto row = static_cast<size_t>(i);
    EXPECT_EQ(data.columns[0][row], static_cast<double>(i));
    EXPECT_EQ(data.column("loss")[row], row_of(i)[0]);
    EXPECT_EQ(data.column("gradient")[row], row_of(i)[1]);
  }
}

TEST_F(CsvLogFile, KilledAndResumedRunLeavesTheSameBytes) {
  train(path(), 0, 50);
  const std::string uninterrupted = read_file(path());
  std::filesystem::remove(path());
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // dies in the middle of the run, after its last checkpoint at iteration 20
    CsvLog log(path(), {"loss", "gradient"});
    for (int64_t i = 0; i < 33; ++i) log.append(i, row_of(i));
    raise(SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  ASSERT_THAT(read_file(path()), HasSubstr("\n32,")) << "what was appended is there";
  train(path(), 20, 50);
  EXPECT_EQ(read_file(path()), uninterrupted);
}

TEST_F(CsvLogFile, LineThatAKillCutOffIsDropped) {
  train(path(), 0, 4);
  const std::string whole = read_file(path());
  for (size_t length = 0; length < whole.size(); ++length) {
    write_file(path(), whole.substr(0, length));
    const auto num_complete = std::count(whole.begin(), whole.begin() + length, '\n') - 1;
    const int64_t resumed = std::max<int64_t>(0, num_complete);
    train(path(), resumed, 4);
    ASSERT_EQ(read_file(path()), whole) << "cut after " << length << " bytes";
  }
}

TEST_F(CsvLogFile, ResumingAtTheStartBeginsAnew) {
  train(path(), 0, 10);
  CsvLog log(path(), {"loss", "gradient"});
  EXPECT_EQ(read_file(path()), "iteration,loss,gradient\n");
}

TEST_F(CsvLogFile, OtherColumnsAreRefusedAndTheFileStaysAsItWas) {
  train(path(), 0, 3);
  const std::string before = read_file(path());
  EXPECT_THAT(message_of<Error>([&] {
                CsvLog(path(), {"loss", "fd"}, 2);
              }),
              AllOf(HasSubstr("log.csv"), HasSubstr("\"iteration,loss,gradient\""),
                    HasSubstr("\"iteration,loss,fd\"")));
  EXPECT_EQ(read_file(path()), before);
  write_file(path(), "a note without line break");
  EXPECT_THAT(message_of<Error>([&] { CsvLog(path(), {"loss"}); }), HasSubstr("a note"));
}

TEST_F(CsvLogFile, RowsComeInOrderAndComplete) {
  CsvLog log(path(), {"loss"});
  log.append(3, Values{1});
  log.append(3, Values{2});
  EXPECT_THROW(log.append(2, Values{1}), InvalidRequest);
  EXPECT_THROW(log.append(4, Values{1, 2}), InvalidRequest);
  EXPECT_EQ(read_file(path()), "iteration,loss\n3,1\n3,2\n");
  CsvLog resumed(path(), {"loss"}, 4);
  EXPECT_THROW(resumed.append(2, Values{1}), InvalidRequest);
}

TEST_F(CsvLogFile, NamesThatWouldBreakTheFileAreRefused) {
  for (const char* name : {"", "a,b", "a\"b", "a\nb", "iteration", "twice"}) {
    EXPECT_THROW(CsvLog(path(), {"twice", name}), InvalidRequest) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(CsvLogFile, FoldersThatAreMissingAreNamed) {
  const auto missing = folder_.path() / "missing" / "log.csv";
  EXPECT_THAT(message_of<Error>([&] { CsvLog(missing, {"a"}); }), HasSubstr("missing"));
}

TEST_F(CsvLogFile, BrokenRowsAreErrorsThatNameFileAndLine) {
  for (const char* rows : {"0,1\n1,x\n", "0,1\n1\n", "0,1\n1,2,3\n", "0,1\n1, 2\n", "0,1\n\n",
                           "0,1\n1,2e\n", "0,1\n1,1e999\n"}) {
    write_file(path(), std::string("iteration,loss\n") + rows);
    EXPECT_THAT(message_of<Error>([&] { read_csv(path()); }),
                AllOf(HasSubstr("log.csv"), HasSubstr("line 3")))
        << rows;
  }
  write_file(path(), "iteration,loss\n0,1\nx,2\n");
  EXPECT_THAT(message_of<Error>([&] { CsvLog(path(), {"loss"}, 9); }), HasSubstr("line 3"));
}

TEST_F(CsvLogFile, EmptyFieldsAndForeignLineEndsAreRead) {
  write_file(path(), "x,y\r\n1,\r\n2,inf\r\n3,4");
  const CsvData data = read_csv(path());
  EXPECT_THAT(data.names, ElementsAre("x", "y"));
  EXPECT_THAT(data.columns[0], ElementsAre(1, 2)) << "somebody is still writing the third row";
  EXPECT_TRUE(std::isnan(data.columns[1][0]));
  EXPECT_EQ(data.columns[1][1], HUGE_VAL);
}

TEST_F(CsvLogFile, FilesThatAreNoCsvAreErrors) {
  EXPECT_THAT(message_of<Error>([&] { read_csv(folder_.path() / "none.csv"); }),
              HasSubstr("none.csv"));
  EXPECT_THROW(read_csv(folder_.path()), Error);
  EXPECT_THAT(message_of<Error>([&] { read_csv(write_file(path(), "")); }), HasSubstr("header"));
  write_file(path(), "x,y\n");
  EXPECT_THAT(message_of<InvalidRequest>([&] { read_csv(path()).column("z"); }), HasSubstr("x, y"));
}

}  // namespace
}  // namespace fourstep
