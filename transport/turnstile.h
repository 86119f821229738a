#pragma once

// turnstile.h - large answers of one session, one after the other, as fast as its peer takes them.

#include <kj/async.h>

#include <memory>

#include "transport/session.h"

namespace leat::transport {

// A session's calls may be answered in any number at once, and what the peer does not read stays in
// memory. Whoever makes a large answer asks here first, so that one waits for the other.
//
// Thread: the loop's. Borrows the session between bind() and unbind().
class Turnstile {
 public:
  Turnstile();
  ~Turnstile() noexcept(false);
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;

  // Once, before the first call is answered.
  void bind(Session& session);
  // The session is gone; calls may outlive it.
  void unbind();

  // Let go of when the answer has been made: the next one passes when it has left.
  class Pass;

  // Resolves when the answers made before have left, but for a little.
  kj::Promise<kj::Own<Pass>> enter();

 private:
  struct Inside;
  std::shared_ptr<Inside> inside_;
};

class Turnstile::Pass {
 public:
  explicit Pass(std::shared_ptr<Inside> inside);
  ~Pass();
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

 private:
  std::shared_ptr<Inside> inside_;
};

}  // namespace leat::transport
