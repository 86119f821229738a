#include "scheduler/wire/sessions.h"

#include <utility>

namespace leat::wire {

Sessions::Sessions(std::size_t max, transport::SessionLimits limits)
    : max_(max), limits_(limits), tasks_(*this) {}

Sessions::~Sessions() noexcept(false) {
  // Without a word: who listens to on_closed is being taken apart, too.
  open_.clear();
}

bool Sessions::open(kj::Own<kj::AsyncIoStream> stream,
                    const std::function<capnp::Capability::Client(Id)>& bootstrap,
                    std::function<void(Id)> on_closed) {
  if (open_.size() >= max_) return false;
  const Id id = next_++;
  auto session = kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kAccepted,
                                              bootstrap(id), limits_);
  tasks_.add(session->on_disconnect().then([this, id] { close(id); }));
  open_.emplace(id, Open{kj::mv(session), std::move(on_closed)});
  return true;
}

void Sessions::close(Id id) {
  if (!open_.contains(id)) return;
  tasks_.add(kj::evalLater([this, id] { remove(id); }));
}

void Sessions::remove(Id id) {
  const auto at = open_.find(id);
  if (at == open_.end()) return;
  Open over = std::move(at->second);
  open_.erase(at);
  past_bytes_in_ += over.session->bytes_in();
  past_bytes_out_ += over.session->bytes_out();
  if (over.on_closed) over.on_closed(id);
}

std::uint64_t Sessions::bytes_in() const {
  std::uint64_t sum = past_bytes_in_;
  for (const auto& [id, open] : open_) sum += open.session->bytes_in();
  return sum;
}

std::uint64_t Sessions::bytes_out() const {
  std::uint64_t sum = past_bytes_out_;
  for (const auto& [id, open] : open_) sum += open.session->bytes_out();
  return sum;
}

void Sessions::taskFailed(kj::Exception&&) {
  // on_disconnect() never rejects.
}

}  // namespace leat::wire
