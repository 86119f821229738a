#include "transport/enrolment.h"

#include <kj/compat/tls.h>
#include <kj/debug.h>

#include <algorithm>
#include <utility>

#include "transport/acceptor.h"
#include "transport/byte_codec.h"
#include "transport/openssl_handles.h"
#include "transport/tls.h"

namespace leat::transport {
namespace {

constexpr std::string_view kRequestMagic = "LEATENR1";
constexpr std::string_view kAnswerMagic = "LEATENA1";
// What kj-tls says of a server whose certificate or name is another than the one demanded.
constexpr std::string_view kUntrusted = "certificate is not trusted";
constexpr std::size_t kRequestHead = 8 + 4;
constexpr std::size_t kAnswerHead = 8 + 1 + 4;
constexpr std::size_t kSecretBytes = std::tuple_size_v<Secret>;
constexpr std::size_t kAnswerMax = 16 * 1024;

std::string request_frame(const JoinToken& token, const Bytes& request_der) {
  ByteWriter frame;
  frame.raw(kRequestMagic);
  frame.number(static_cast<std::uint32_t>(kSecretBytes + request_der.size()));
  frame.raw(token.secret);
  frame.raw(request_der);
  return frame.bytes();
}

std::string answer_frame(const Result<std::string>& answer) {
  const std::string& body = answer.ok() ? answer.value() : answer.refusal().message;
  ByteWriter frame;
  frame.raw(kAnswerMagic);
  frame.number(static_cast<std::uint8_t>(answer.ok() ? 0 : 1));
  frame.number(static_cast<std::uint32_t>(std::min(body.size(), kAnswerMax)));
  frame.raw(std::string_view(body).substr(0, kAnswerMax));
  return frame.bytes();
}

// What is read from and written to one stranger. Owns the stream and every buffer under way.
struct Exchange {
  explicit Exchange(kj::Own<kj::AsyncIoStream> connected) : stream(kj::mv(connected)) {}

  kj::Promise<void> read(std::size_t size) {
    buffer.resize(size);
    return stream->read(buffer.data(), size, size).ignoreResult();
  }
  kj::Promise<void> write(std::string frame) {
    buffer = std::move(frame);
    return stream->write(buffer.data(), buffer.size());
  }

  kj::Own<kj::AsyncIoStream> stream;
  std::string buffer;
};

// How many bytes follow the request's head. Throws if the head is not one.
std::size_t request_body_size(std::string_view head) {
  ByteReader reader(head);
  KJ_REQUIRE(reader.raw(kRequestMagic.size()) == kRequestMagic, "not an enrolment request");
  const auto size = reader.number<std::uint32_t>();
  KJ_REQUIRE(size > kSecretBytes && size <= kEnrolFrameMax - kRequestHead,
             "enrolment request of a wrong size", size);
  return size;
}

kj::Promise<void> serve(Exchange& exchange, const EnrolHandler& handler) {
  return exchange.read(kRequestHead)
      .then([&exchange] { return exchange.read(request_body_size(exchange.buffer)); })
      .then([&exchange, &handler] {
        const auto body = as_byte_span(exchange.buffer);
        return handler(body.first(kSecretBytes), body.subspan(kSecretBytes));
      })
      .then([&exchange](const Result<std::string>& answer) {
        const bool given = answer.ok();
        return exchange.write(answer_frame(answer)).then([given] { return given; });
      })
      .then([&exchange](bool given) {
        // Closing now could overtake the answer inside kj-tls: let the other side close first.
        return exchange.stream->tryRead(exchange.buffer.data(), 1, 1)
            .then([](std::size_t) {}, [](kj::Exception&&) {})
            // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
            .then([given] { KJ_REQUIRE(given, "enrolment refused"); });
      });
}

Result<Credentials> read_answer(std::uint8_t status, const std::string& body,
                                const JoinToken& token, const std::string& key_pem) {
  if (status != 0) {
    const bool plain =
        std::all_of(body.begin(), body.end(), [](char c) { return c >= 32 && c < 127; });
    return Refusal{Reason::kConflict,
                   "the head refused to enrol this node: " + (plain ? body : std::string("?"))};
  }
  const CertificateHandle authority = certificate_from_der(token.authority_der);
  if (authority == nullptr) return invalid("the join token holds no authority");
  Credentials credentials{body, key_pem, to_pem(*authority)};
  const Result<Done> sound = check_credentials(credentials);
  if (!sound.ok()) return invalid("the head's answer makes no sense: " + sound.refusal().message);
  const CertificateHandle certificate = certificate_from_pem(body);
  Peer self;
  self.kind = Peer::Kind::kAgent;
  self.node = token.node;
  if (subject_common_name(*certificate) != common_name(self))
    return invalid("the head's answer makes no sense: a certificate for somebody else");
  return credentials;
}

}  // namespace

EnrolServer::EnrolServer(std::unique_ptr<Acceptor> acceptor) : acceptor_(std::move(acceptor)) {}
EnrolServer::~EnrolServer() = default;

Result<kj::Own<EnrolServer>> EnrolServer::open(kj::Network& network, kj::Timer& timer,
                                               const std::string& address, kj::TlsContext& context,
                                               EnrolHandler handler, OnComplaint on_complaint) {
  Result<kj::Own<kj::ConnectionReceiver>> receiver = bind_tcp(network, address);
  if (!receiver.ok()) return receiver.refusal();
  auto greet = [&context, handler = std::move(handler)](kj::AuthenticatedStream connection) {
    set_tcp_options(*connection.stream);
    return context.wrapServer(kj::mv(connection.stream))
        .then([&handler](kj::Own<kj::AsyncIoStream> secured) {
          auto exchange = kj::heap<Exchange>(kj::mv(secured));
          kj::Promise<void> served = serve(*exchange, handler);
          return served.attach(kj::mv(exchange));
        });
  };
  return kj::heap<EnrolServer>(std::make_unique<Acceptor>(std::move(receiver).value(), timer,
                                                          "enrolment port", std::move(greet),
                                                          std::move(on_complaint)));
}

std::uint16_t EnrolServer::port() const {
  return acceptor_->port();
}

const ListenerCounts& EnrolServer::counts() const {
  return acceptor_->counts();
}

namespace {

kj::Promise<Result<Credentials>> ask(Exchange& exchange, const JoinToken& token,
                                     const KeyAndRequest& key) {
  return exchange.write(request_frame(token, key.request_der))
      .then([&exchange] { return exchange.read(kAnswerHead); })
      .then([&exchange, &token, &key] {
        ByteReader head(exchange.buffer);
        // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
        KJ_REQUIRE(head.raw(kAnswerMagic.size()) == kAnswerMagic, "not an enrolment port");
        const auto status = head.number<std::uint8_t>();
        const auto size = head.number<std::uint32_t>();
        // NOLINTNEXTLINE(bugprone-suspicious-semicolon): KJ's macro ends in an else
        KJ_REQUIRE(size <= kAnswerMax, "enrolment answer of a wrong size", size);
        return exchange.read(size).then([&exchange, &token, &key, status] {
          return read_answer(status, exchange.buffer, token, key.key_pem);
        });
      });
}

}  // namespace

kj::Promise<Result<Credentials>> enrol(kj::Network& network, kj::Timer& timer,
                                       const JoinToken& token, KeyAndRequest key) {
  struct Attempt {
    JoinToken token;
    KeyAndRequest key;
    kj::Own<kj::TlsContext> context;
    kj::Own<Exchange> exchange;
  };
  if (kRequestHead + kSecretBytes + key.request_der.size() > kEnrolFrameMax)
    return Result<Credentials>(invalid("the certificate request is too long"));
  auto attempt = kj::heap<Attempt>();
  attempt->token = token;
  attempt->key = std::move(key);
  attempt->context = make_enrol_client_context(token.authority_der, timer);
  Attempt& a = *attempt;
  auto asked = connect_tls(network, timer, token.enrol_address, *a.context,
                           server_name(Peer::Kind::kHead, token.cluster_id))
                   .then([&a](kj::Own<kj::AsyncIoStream> stream) {
                     a.exchange = kj::heap<Exchange>(kj::mv(stream));
                     return ask(*a.exchange, a.token, a.key);
                   });
  return timer.timeoutAfter(kEnrolDeadline, kj::mv(asked))
      .catch_([address = token.enrol_address](kj::Exception&& exception) {
        if (std::string_view(exception.getDescription().cStr()).find(kUntrusted) !=
            std::string_view::npos)
          return Result<Credentials>(
              invalid(address + ": this is not the head that made the token: it shows another " +
                      "certificate, so the token was kept from it"));
        return Result<Credentials>(
            Refusal{Reason::kDisconnected,
                    address + ": enrolment got no answer: " + first_line(exception)});
      })
      .attach(kj::mv(attempt));
}

}  // namespace leat::transport
