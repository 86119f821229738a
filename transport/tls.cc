#include "transport/tls.h"

#include <kj/compat/tls.h>
#include <kj/timer.h>

namespace leat::transport {
namespace {

kj::StringPtr text(const std::string& value) {
  return {value.c_str(), value.size()};
}

kj::TlsContext::Options common_options(kj::Timer& timer) {
  kj::TlsContext::Options options;
  options.useSystemTrustStore = false;
  options.minVersion = kj::TlsVersion::TLS_1_2;
  options.timer = timer;
  options.acceptTimeout = kHandshakeDeadline;
  return options;
}

kj::Own<kj::TlsContext> context_of(const Credentials& credentials, kj::Timer& timer,
                                   bool verify_clients) {
  // The context copies what the options only point to.
  const kj::TlsKeypair pair{kj::TlsPrivateKey(text(credentials.key_pem)),
                            kj::TlsCertificate(text(credentials.certificate_pem))};
  const kj::TlsCertificate authority(text(credentials.authority_pem));
  kj::TlsContext::Options options = common_options(timer);
  options.verifyClients = verify_clients;
  options.trustedCertificates = kj::arrayPtr(&authority, 1);
  options.defaultKeypair = pair;
  return kj::heap<kj::TlsContext>(options);
}

}  // namespace

kj::Own<kj::TlsContext> make_context(const Credentials& credentials, kj::Timer& timer) {
  return context_of(credentials, timer, true);
}

kj::Own<kj::TlsContext> make_enrol_server_context(const Credentials& credentials,
                                                  kj::Timer& timer) {
  return context_of(credentials, timer, false);
}

kj::Own<kj::TlsContext> make_enrol_client_context(std::span<const std::byte> authority_der,
                                                  kj::Timer& timer) {
  const kj::TlsCertificate authority(
      kj::arrayPtr(reinterpret_cast<const kj::byte*>(authority_der.data()), authority_der.size()));
  kj::TlsContext::Options options = common_options(timer);
  options.trustedCertificates = kj::arrayPtr(&authority, 1);
  return kj::heap<kj::TlsContext>(options);
}

}  // namespace leat::transport
