#pragma once

// enrolment.h - the one port that talks to strangers: a token and a request in, a certificate out.
//
// Server-authenticated TLS, then one frame each way, then the end:
//   request  "LEATENR1", u32 length, secret (32 bytes), certificate request (PKCS#10 DER)
//   answer   "LEATENA1", u8 status (0 yes, 1 no), u32 length, certificate PEM or one line why not
// Numbers are little-endian. A request frame is at most kEnrolFrameMax bytes, head included.

#include <kj/async-io.h>
#include <kj/timer.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "transport/authority.h"
#include "transport/listener.h"
#include "transport/token.h"

namespace leat::transport {

inline constexpr std::size_t kEnrolFrameMax = 8 * 1024;
inline constexpr kj::Duration kEnrolDeadline = 10 * kj::SECONDS;

// Decides about one request: checks the secret against what it issued, uses it up durably, and
// then answers with the certificate (PEM). The first answer may be lost on the way: the same secret
// with the same request again must get its certificate again. The spans are valid until the promise
// resolves or is dropped. A refusal's message goes to the stranger: it must not say more than "no".
using EnrolHandler = std::function<kj::Promise<Result<std::string>>(
    std::span<const std::byte> secret, std::span<const std::byte> request_der)>;

// At most kUnauthenticatedMax exchanges at once, kEnrolDeadline for each whole exchange.
// Borrows network, timer and context (from make_enrol_server_context).
class EnrolServer {
 public:
  // `address` as for TlsListener::open.
  static Result<kj::Own<EnrolServer>> open(kj::Network& network, kj::Timer& timer,
                                           const std::string& address, kj::TlsContext& context,
                                           EnrolHandler handler,
                                           OnComplaint on_complaint = nullptr);
  explicit EnrolServer(std::unique_ptr<Acceptor> acceptor);
  ~EnrolServer();

  std::uint16_t port() const;
  // `accepted` counts certificates given, `refused` everything else that was not overflow.
  const ListenerCounts& counts() const;

 private:
  std::unique_ptr<Acceptor> acceptor_;
};

// Spends `token` on a certificate for `key`. The server must show "head.<cluster-id>" under the
// token's authority before the secret leaves, and the certificate it sends must fit the key and
// the authority. Refusals: kConflict what the head said, kInvalid another's certificate or an
// answer that makes no sense, kDisconnected no answer within kEnrolDeadline (the token may be
// spent). Never rejects. Borrows network and timer until resolved.
kj::Promise<Result<Credentials>> enrol(kj::Network& network, kj::Timer& timer,
                                       const JoinToken& token, KeyAndRequest key);

}  // namespace leat::transport
