#pragma once

// tls.h - TLS contexts: who is trusted, what is shown.
//
// A context is immutable and may be shared by all connections of one loop; it must outlive them.

#include <kj/memory.h>
#include <kj/time.h>

#include <span>

#include "transport/authority.h"

namespace kj {
class Timer;
class TlsContext;
}  // namespace kj

namespace leat::transport {

inline constexpr kj::Duration kHandshakeDeadline = 10 * kj::SECONDS;

// Mutual: both sides must show a certificate of this cluster. For servers and clients alike.
// Precondition: check_credentials(credentials) holds.
kj::Own<kj::TlsContext> make_context(const Credentials& credentials, kj::Timer& timer);

// For the enrolment port only: the server shows its certificate, the client has none yet.
kj::Own<kj::TlsContext> make_enrol_server_context(const Credentials& credentials, kj::Timer& timer);

// The client's side of that: trusts this one authority, shows nothing. Precondition: a DER
// certificate (a decoded JoinToken has been checked for that).
kj::Own<kj::TlsContext> make_enrol_client_context(std::span<const std::byte> authority_der,
                                                  kj::Timer& timer);

}  // namespace leat::transport
