#include "scheduler/head_keys.h"

#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "scheduler/home_keys.h"
#include "transport/identity.h"
#include "transport/secret_file.h"
#include "transport/token.h"

namespace leat::scheduler {
namespace {

transport::Peer peer_of(transport::Peer::Kind kind, std::uint32_t uid = 0) {
  return {.kind = kind, .node = {}, .uid = uid};
}

}  // namespace

Result<HeadKeys> open_head_keys(const Home& home, transport::WallSeconds now) {
  auto authority = authority_of(home, now);
  if (!authority.ok()) return authority.refusal();
  auto signer = transport::TicketSigner::open(home.tls());
  if (!signer.ok()) return signer.refusal();
  const transport::PublicKey key = signer.value().public_key();
  Result<Done> done = transport::replace_secret_file(
      home.tls() + "/ticket.pub",
      std::string_view(reinterpret_cast<const char*>(key.data()), key.size()));
  using Kind = transport::Peer::Kind;
  const transport::ClusterAuthority& made = authority.value();
  if (done.ok()) done = issue(home, made, "head", peer_of(Kind::kHead), now);
  if (done.ok()) done = issue(home, made, "store", peer_of(Kind::kStore), now);
  if (done.ok()) done = issue(home, made, "user", peer_of(Kind::kUser, ::getuid()), now);
  if (!done.ok()) return done.refusal();
  auto credentials = transport::load_credentials(home.tls() + "/head");
  if (!credentials.ok()) return credentials.refusal();
  return HeadKeys{std::move(authority).value(), std::move(signer).value(),
                  std::move(credentials).value()};
}

}  // namespace leat::scheduler
