#include "scheduler/home_keys.h"

#include "transport/secret_file.h"

namespace leat::scheduler {

Result<transport::ClusterAuthority> authority_of(const Home& home, transport::WallSeconds now) {
  const std::string directory = home.tls() + "/authority";
  auto loaded = transport::ClusterAuthority::load(directory);
  if (loaded.ok() || loaded.refusal().reason != Reason::kNotFound) return loaded;
  return transport::ClusterAuthority::create(directory, transport::new_cluster_id(), now);
}

Result<Done> issue(const Home& home, const transport::ClusterAuthority& authority,
                   const std::string& name, const transport::Peer& peer,
                   transport::WallSeconds now) {
  const std::string directory = home.tls() + "/" + name;
  Result<Done> made = transport::ensure_private_directory(directory);
  if (!made.ok()) return made;
  return transport::save_credentials(directory, authority.issue(peer, now));
}

}  // namespace leat::scheduler
