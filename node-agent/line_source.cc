#include "node-agent/line_source.h"

#include <kj/debug.h>

#include <algorithm>
#include <optional>
#include <span>
#include <utility>

#include "node-agent/store_retry.h"
#include "transport/blob_client.h"

namespace leat::agent {
namespace {

constexpr std::size_t kWindowsKept = 64;

std::uint64_t number_at(const std::string& bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace

struct LineSource::Order {
  StageRef stage;
  std::shared_ptr<const StageSpec> spec;
  std::string ticket;
  std::vector<LineTask> tasks;
  OnLines on_lines;
  std::size_t next = 0;
  int tries = 0;
  std::optional<InputFile> file;  // of a large task

  const LineTask& task() const { return tasks[next]; }
  std::uint64_t count() const { return spec->input_tasks(); }
};

kj::Promise<void> LineSource::fetch(StageRef stage, std::shared_ptr<const StageSpec> spec,
                                    std::string ticket, std::vector<LineTask> tasks,
                                    OnLines on_lines) {
  auto order = std::make_shared<Order>();
  order->stage = stage;
  order->spec = std::move(spec);
  order->ticket = std::move(ticket);
  order->tasks = std::move(tasks);
  order->on_lines = std::move(on_lines);
  return go_on(order);
}

void LineSource::forget(JobId job) {
  windows_.erase(windows_.lower_bound(StageRef{job, 0}),
                 windows_.upper_bound(StageRef{job, 0xffff}));
}

// One read after the other, until every task has its answer.
kj::Promise<void> LineSource::go_on(const OrderPtr& order) {
  if (order->next == order->tasks.size()) return kj::READY_NOW;
  return load_next(order)
      .catch_([](kj::Exception&& e) -> Result<Done> { return store_away(e); })
      .then([this, order](const Result<Done>& done) -> kj::Promise<void> {
        if (done.ok()) {
          order->tries = 0;
          return go_on(order);
        }
        if (may_pass(done.refusal()) && ++order->tries < kStoreTries)
          return timer_.afterDelay(kStoreFirstWait * (1 << (order->tries - 1)))
              .then([this, order]() { return go_on(order); });
        for (; order->next < order->tasks.size(); ++order->next)
          order->on_lines(order->task().run, done.refusal(), nullptr);
        return kj::READY_NOW;
      });
}

kj::Promise<Result<Done>> LineSource::load_next(const OrderPtr& order) {
  const std::uint64_t first = order->task().position;
  if (order->spec->inputs.offsets.length != 8 * (order->count() + 1) || first >= order->count())
    return Result<Done>(invalid("the table of input lines does not fit its job"));
  const Window& window = windows_[order->stage];
  if (!window.holds(first, first + 1)) return load_offsets(order, first);

  // As many tasks as the window knows and one read may bring.
  const std::uint64_t start = window.offsets[first - window.first];
  std::size_t count = 0;
  for (std::size_t i = order->next; i < order->tasks.size(); ++i) {
    const std::uint64_t position = order->tasks[i].position;
    if (!window.holds(first, position + 1)) break;
    if (window.offsets[position + 1 - window.first] - start > kLineBytesAtOnce) break;
    ++count;
  }
  return count == 0 ? load_large(order) : load_lines(order, count);
}

kj::Promise<Result<Done>> LineSource::load_offsets(const OrderPtr& order, std::uint64_t from) {
  const std::uint64_t last = order->tasks.back().position + 1;
  const std::uint64_t end = std::min(std::max(last, from + kOffsetsAtOnce - 1), order->count()) + 1;
  const std::uint64_t count = std::min(end - from, kLineBytesAtOnce / 8);
  return links_.get(store_.address, store_.server_name)
      .then([order, from, count](capnp::Capability::Client peer) {
        return transport::get_bytes(peer.castAs<schema::BlobServer>(), order->ticket,
                                    order->spec->inputs.offsets.hash, 8 * from, 8 * count);
      })
      .then([this, order, from, count](const Result<std::string>& bytes) -> Result<Done> {
        if (!bytes.ok()) return bytes.refusal();
        Window window;
        window.first = from;
        for (std::uint64_t i = 0; i < count; ++i) {
          const std::uint64_t offset = number_at(bytes.value(), 8 * i);
          const bool falls = !window.offsets.empty() && offset < window.offsets.back();
          if (falls || offset > order->spec->inputs.data.length)
            return invalid("the table of input lines is damaged");
          window.offsets.push_back(offset);
        }
        if (windows_.size() > kWindowsKept) windows_.clear();
        windows_[order->stage] = std::move(window);
        return Done{};
      });
}

kj::Promise<Result<Done>> LineSource::load_lines(const OrderPtr& order, std::size_t count) {
  const Window& window = windows_[order->stage];
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t at = order->tasks[order->next + i].position - window.first;
    ranges.emplace_back(window.offsets[at], window.offsets[at + 1]);
  }
  const std::uint64_t start = ranges.front().first;
  const std::uint64_t length = ranges.back().second - start;
  return links_.get(store_.address, store_.server_name)
      .then([order, start, length](capnp::Capability::Client peer) {
        return transport::get_bytes(peer.castAs<schema::BlobServer>(), order->ticket,
                                    order->spec->inputs.data.hash, start, length);
      })
      .then([this, order, start,
             ranges = std::move(ranges)](const Result<std::string>& bytes) -> Result<Done> {
        if (!bytes.ok()) return bytes.refusal();
        const std::string_view text = bytes.value();
        for (const auto& [first, end] : ranges) {
          write_task(*order, order->task(), text.substr(first - start, end - first));
          ++order->next;
        }
        return Done{};
      });
}

// Lines of one task that do not fit into memory comfortably.
kj::Promise<Result<Done>> LineSource::load_large(const OrderPtr& order) {
  const Window& window = windows_[order->stage];
  const std::uint64_t at = order->task().position - window.first;
  const std::uint64_t start = window.offsets[at];
  const std::uint64_t length = window.offsets[at + 1] - start;
  Result<InputFile> file = InputFile::create(input_path(directory_, order->task().run));
  if (!file.ok()) return Result<Done>(file.refusal());
  order->file.emplace(std::move(file).value());
  return links_.get(store_.address, store_.server_name)
      .then([order, start, length](capnp::Capability::Client peer) {
        return transport::get_range(
            peer.castAs<schema::BlobServer>(), order->ticket, order->spec->inputs.data.hash, start,
            length, [order](kj::ArrayPtr<const kj::byte> bytes) -> kj::Promise<void> {
              const Result<Done> kept =
                  order->file->append(std::as_bytes(std::span(bytes.begin(), bytes.size())));
              if (!kept.ok())
                return KJ_EXCEPTION(FAILED, "the input cannot be kept", kept.refusal().message);
              return kj::READY_NOW;
            });
      })
      .then([order](Result<Done> done) -> Result<Done> {
        if (done.ok()) {
          order->file->keep();
          order->on_lines(order->task().run, Done{}, nullptr);
          ++order->next;
        }
        order->file.reset();
        return done;
      });
}

Result<Done> LineSource::write_file(const RunId& run, std::string_view text) {
  Result<InputFile> file = InputFile::create(input_path(directory_, run));
  if (!file.ok()) return file.refusal();
  InputFile open = std::move(file).value();
  const Result<Done> done = open.append(std::as_bytes(std::span(text.data(), text.size())));
  if (done.ok()) open.keep();
  return done;
}

void LineSource::write_task(Order& order, const LineTask& task, std::string_view text) {
  const std::string line(text);
  // A name of a file is for the arguments; nobody reads it on standard input.
  const bool to_file = order.spec->inputs.use != Inputs::Use::kFile;
  const Result<Done> done = to_file ? write_file(task.run, text) : Result<Done>(Done{});
  order.on_lines(task.run, done, order.spec->inputs.chunk == 1 ? &line : nullptr);
}

}  // namespace leat::agent
