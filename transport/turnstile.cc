#include "transport/turnstile.h"

#include <deque>
#include <utility>

namespace leat::transport {

struct Turnstile::Inside final : std::enable_shared_from_this<Inside>,
                                 private kj::TaskSet::ErrorHandler {
  Inside() : tasks(*this) {}

  // The answer that was made is on its way when the loop has nothing else to do.
  void leave() {
    tasks.add(kj::evalLast([this]() -> kj::Promise<void> {
                if (session == nullptr) return kj::READY_NOW;
                return session->when_writable();
              }).then([this]() { next(); }));
  }

  void next() {
    busy = false;
    while (!busy && !waiting.empty()) {
      auto first = kj::mv(waiting.front());
      waiting.pop_front();
      if (!first->isWaiting()) continue;  // its call was given up
      busy = true;
      first->fulfill(kj::heap<Pass>(shared_from_this()));
    }
  }

  void taskFailed(kj::Exception&&) override {
    // The session is lost: nobody waits for an answer any more.
  }

  Session* session = nullptr;
  bool busy = false;
  // Bounded by the calls that the session takes in.
  std::deque<kj::Own<kj::PromiseFulfiller<kj::Own<Pass>>>> waiting;
  kj::TaskSet tasks;
};

Turnstile::Pass::Pass(std::shared_ptr<Inside> inside) : inside_(std::move(inside)) {}

Turnstile::Pass::~Pass() {
  inside_->leave();
}

Turnstile::Turnstile() : inside_(std::make_shared<Inside>()) {}

Turnstile::~Turnstile() noexcept(false) {
  unbind();
}

void Turnstile::unbind() {
  inside_->session = nullptr;
}

void Turnstile::bind(Session& session) {
  inside_->session = &session;
}

kj::Promise<kj::Own<Turnstile::Pass>> Turnstile::enter() {
  if (!inside_->busy) {
    inside_->busy = true;
    return kj::heap<Pass>(inside_);
  }
  auto paf = kj::newPromiseAndFulfiller<kj::Own<Pass>>();
  inside_->waiting.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

}  // namespace leat::transport
