#pragma once

// home_keys.h - the cluster's authority and the certificates in LEAT_HOME/tls.

#include <string>

#include "base/result.h"
#include "scheduler/home.h"
#include "transport/authority.h"
#include "transport/identity.h"

namespace leat::scheduler {

// The authority of this home, made at the first start.
Result<transport::ClusterAuthority> authority_of(const Home& home, transport::WallSeconds now);

// A new key with its certificate for `peer`, in HOME/tls/NAME.
Result<Done> issue(const Home& home, const transport::ClusterAuthority& authority,
                   const std::string& name, const transport::Peer& peer,
                   transport::WallSeconds now);

}  // namespace leat::scheduler
