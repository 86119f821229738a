#include "spool/record_codec.h"

#include <utility>
#include <vector>

namespace leat::spool {
namespace {

constexpr std::size_t kStrideBytes = 24;

}  // namespace

void RecordWriter::put_list(const IndexList& list) {
  put(static_cast<std::uint32_t>(list.strides().size()));
  for (const Stride& stride : list.strides()) {
    put(stride.first);
    put(stride.count);
    put(stride.step);
  }
}

std::span<const std::byte> RecordReader::take_bytes(std::size_t count) {
  if (failed_ || count > bytes_.size()) {
    failed_ = true;
    return {};
  }
  const std::span<const std::byte> taken = bytes_.first(count);
  bytes_ = bytes_.subspan(count);
  return taken;
}

std::string RecordReader::take_text() {
  const std::span<const std::byte> raw = take_bytes(take<std::uint32_t>());
  return std::string(reinterpret_cast<const char*>(raw.data()), raw.size());
}

IndexList RecordReader::take_list() {
  const std::size_t count = take<std::uint32_t>();
  if (failed_ || count > left() / kStrideBytes) {
    failed_ = true;
    return {};
  }
  std::vector<Stride> strides(count);
  for (Stride& stride : strides) {
    stride.first = take<std::uint64_t>();
    stride.count = take<std::uint64_t>();
    stride.step = take<std::uint64_t>();
  }
  Result<IndexList> list = IndexList::from_strides(strides);
  if (!list.ok()) {
    failed_ = true;
    return {};
  }
  return std::move(list).value();
}

}  // namespace leat::spool
