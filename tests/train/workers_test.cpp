#include "train/workers.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

namespace fourstep {
namespace {

// Two processes are in tests/e2e/two_processes.

TEST(Workers, TheOnlyProcessTakesTheWholeBatch) {
  const Workers workers;
  EXPECT_TRUE(workers.is_first());
  EXPECT_EQ(workers.part_of(7), (std::pair<int64_t, int64_t>{0, 7}));
  EXPECT_EQ(workers.average({1.5, -2}), (std::vector<double>{1.5, -2}));
  EXPECT_TRUE(workers.average({}).empty());
}

TEST(Workers, TheOnlyProcessKeepsItsGradients) {
  const Tensor weight = torch::ones({2}).requires_grad_();
  (weight * torch::tensor({1.0, 3.0})).sum().backward();
  Workers().average_gradients({{"weight", weight}});
  EXPECT_TRUE(torch::equal(weight.grad(), torch::tensor({1.0, 3.0})));
}

TEST(Workers, ARankBeyondTheSizeIsRefused) {
  setenv("RANK", "2", 1);
  setenv("WORLD_SIZE", "2", 1);
  EXPECT_THROW(Workers::from_environment(), Error);
  setenv("RANK", "x", 1);
  EXPECT_THROW(Workers::from_environment(), InvalidRequest);
  setenv("WORLD_SIZE", "1", 1);
  EXPECT_EQ(Workers::from_environment().size(), 1);
  unsetenv("RANK");
  unsetenv("WORLD_SIZE");
  EXPECT_EQ(Workers::from_environment().size(), 1);
}

/// A port that nobody listens at now.
uint16_t free_port() {
  const int server = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  bind(server, generic, length);
  getsockname(server, generic, &length);
  close(server);
  return ntohs(address.sin_port);
}

/// One process alone makes the whole way: meeting place, backend, sum, end. Several are in tests/e2e/two_processes.
void expect_sum_of_one_process(const torch::Device& device) {
  const auto group = join_processes({.rank = 0, .size = 1, .port = free_port()}, device);
  const Tensor values = torch::arange(5.0, torch::kFloat64);
  const Tensor sum = group->sum(values);
  EXPECT_TRUE(torch::equal(sum, values));
  EXPECT_TRUE(sum.is_cpu()) << "where the values were";
}

TEST(ProcessGroup, OneProcessSumsOnTheCpu) { expect_sum_of_one_process(torch::kCPU); }

TEST(ProcessGroup, OneProcessSumsOnTheGpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  expect_sum_of_one_process(torch::Device(torch::kCUDA, 0));
}

}  // namespace
}  // namespace fourstep
