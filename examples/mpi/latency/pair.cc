#include "examples/mpi/latency/pair.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>
#include <string>

namespace latency {
namespace {

constexpr int kTag = 1;
constexpr std::size_t kWindow = 8;  // messages on their way at once
// Small messages are exchanged so often, large ones until so much has passed: in all batches.
constexpr int kRepetitionsMax = 1000;
constexpr std::size_t kBytesPassed = 32 * kBytesMax;
constexpr std::size_t kBatches = 5;

// How long `batch` takes, in seconds: the median, after one that is not counted.
template <typename Batch>
double median_seconds(const Batch& batch) {
  std::array<double, kBatches> seconds{};
  batch();
  for (double& each : seconds) {
    const double begin = MPI_Wtime();
    batch();
    each = MPI_Wtime() - begin;
  }
  std::nth_element(seconds.begin(), seconds.begin() + kBatches / 2, seconds.end());
  return seconds[kBatches / 2];
}

}  // namespace

PairTest::PairTest(MPI_Comm ranks, double effort)
    : ranks_(ranks), effort_(effort), sent_(kBytesMax), received_(kWindow * kBytesMax) {
  MPI_Comm_rank(ranks_, &rank_);
  for (std::size_t i = 0; i < sent_.size(); ++i) sent_[i] = static_cast<char>(i % 251);
}

int PairTest::repetitions(std::size_t bytes) const {
  const auto fitting = static_cast<double>(kBytesPassed / std::max<std::size_t>(bytes, 1));
  const double wanted = effort_ * std::min<double>(kRepetitionsMax, fitting) / kBatches;
  return std::max(1, static_cast<int>(wanted));
}

void PairTest::check(const char* begin, std::size_t bytes) const {
  if (std::memcmp(begin, sent_.data(), bytes) != 0)
    throw std::runtime_error("a message of " + std::to_string(bytes) + " bytes arrived changed");
}

void PairTest::there_and_back(const Pair& pair, int bytes, int times) {
  char* const in = received_.data();
  const int other = rank_ == pair.first ? pair.second : pair.first;
  for (int i = 0; i < times; ++i) {
    if (rank_ == pair.first) MPI_Send(sent_.data(), bytes, MPI_BYTE, other, kTag, ranks_);
    MPI_Recv(in, bytes, MPI_BYTE, other, kTag, ranks_, MPI_STATUS_IGNORE);
    if (rank_ == pair.second) MPI_Send(sent_.data(), bytes, MPI_BYTE, other, kTag, ranks_);
  }
}

double PairTest::latency_us(const Pair& pair, std::size_t bytes) {
  const int times = repetitions(bytes);
  const double seconds =
      median_seconds([&] { there_and_back(pair, static_cast<int>(bytes), times); });
  check(received_.data(), bytes);
  return seconds * 1e6 / (2.0 * times);
}

void PairTest::one_window(const Pair& pair, int bytes) {
  std::array<MPI_Request, kWindow> requests;
  for (std::size_t i = 0; i < kWindow; ++i) {
    if (rank_ == pair.first)
      MPI_Isend(sent_.data(), bytes, MPI_BYTE, pair.second, kTag, ranks_, &requests[i]);
    else
      MPI_Irecv(&received_[i * kBytesMax], bytes, MPI_BYTE, pair.first, kTag, ranks_, &requests[i]);
  }
  MPI_Waitall(static_cast<int>(kWindow), requests.data(), MPI_STATUSES_IGNORE);
  // A word back, or the sender would be done before the last message is there.
  if (rank_ == pair.first)
    MPI_Recv(nullptr, 0, MPI_BYTE, pair.second, kTag, ranks_, MPI_STATUS_IGNORE);
  else
    MPI_Send(nullptr, 0, MPI_BYTE, pair.first, kTag, ranks_);
}

double PairTest::bandwidth_mb_s(const Pair& pair, std::size_t bytes) {
  const int windows = std::max(1, repetitions(bytes) / static_cast<int>(kWindow));
  const double seconds = median_seconds([&] {
    for (int i = 0; i < windows; ++i) one_window(pair, static_cast<int>(bytes));
  });
  if (rank_ == pair.second)
    for (std::size_t i = 0; i < kWindow; ++i) check(&received_[i * kBytesMax], bytes);
  const double passed = static_cast<double>(bytes) * static_cast<double>(kWindow) * windows;
  return passed / seconds / 1e6;
}

}  // namespace latency
