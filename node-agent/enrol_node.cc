#include "node-agent/enrol_node.h"

#include <unistd.h>

#include <memory>
#include <utility>

#include "transport/enrolment.h"
#include "transport/secret_file.h"
#include "transport/token.h"

namespace leat::agent {
namespace {

using transport::Credentials;

struct Enrolment {
  EnrolWorld world;
  std::string directory;
  NodeFile file;
  transport::KeyAndRequest key;
};

Result<Credentials> keep(const Enrolment& enrolment, const Credentials& credentials) {
  const Result<Done> saved = transport::save_credentials(enrolment.directory + "/tls", credentials);
  if (!saved.ok()) return saved.refusal();
  ::unlink((enrolment.directory + "/join.token").c_str());
  enrolment.world.say("enrolled");
  return credentials;
}

Result<transport::JoinToken> read_token(const Enrolment& enrolment) {
  const std::string& directory = enrolment.directory;
  const NodeFile& file = enrolment.file;
  const Result<std::string> text = transport::read_secret_file(directory + "/join.token");
  if (!text.ok()) return text.refusal();
  Result<transport::JoinToken> token = transport::decode_token(text.value());
  if (!token.ok()) return token;
  if (token.value().node != file.node || token.value().cluster_id != file.cluster_id)
    return invalid(directory + "/join.token: is for another node than agent.json");
  if (enrolment.world.wall_clock() >= token.value().expires_wall_s)
    return Refusal{Reason::kConflict, "the join token has expired: make another with " +
                                          ("leat pool token " + file.pool)};
  return token;
}

// The token is read anew each time: a head that came back elsewhere has written another.
kj::Promise<Result<Credentials>> try_again(const std::shared_ptr<Enrolment>& enrolment) {
  const Result<transport::JoinToken> token = read_token(*enrolment);
  if (!token.ok()) return Result<Credentials>(token.refusal());
  return transport::enrol(enrolment->world.network, enrolment->world.timer, token.value(),
                          enrolment->key)
      .then([enrolment](Result<Credentials> got) -> kj::Promise<Result<Credentials>> {
        if (got.ok()) return keep(*enrolment, got.value());
        enrolment->world.say("enrolment: " + got.refusal().message);
        if (got.refusal().reason != Reason::kDisconnected) return got;
        return enrolment->world.timer.afterDelay(transport::to_kj(enrolment->world.backoff.next()))
            .then([enrolment]() { return try_again(enrolment); });
      });
}

}  // namespace

kj::Promise<Result<Credentials>> enrol_node(EnrolWorld world, std::string directory,
                                            NodeFile file) {
  using Answer = Result<Credentials>;
  const std::string tls = directory + "/tls";
  const Result<Done> made = transport::ensure_private_directory(tls);
  if (!made.ok()) return Answer(made.refusal());
  Answer known = transport::load_credentials(tls);
  if (known.ok()) {
    const Result<std::string> cluster = transport::cluster_id_of(known.value());
    if (!cluster.ok() || cluster.value() != file.cluster_id)
      return Answer(invalid(tls + ": the credentials are of another cluster than agent.json"));
    return known;
  }
  if (known.refusal().reason != Reason::kNotFound) return known;
  return try_again(std::make_shared<Enrolment>(Enrolment{
      std::move(world), std::move(directory), std::move(file), transport::make_key_and_request()}));
}

}  // namespace leat::agent
