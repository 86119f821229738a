#pragma once

// head_keys.h - the keys and certificates of a home, made at the first start.

#include "base/result.h"
#include "scheduler/home.h"
#include "transport/authority.h"
#include "transport/ticket.h"

namespace leat::scheduler {

struct HeadKeys {
  transport::ClusterAuthority authority;
  transport::TicketSigner signer;
  transport::Credentials credentials;  // of the head
};

// Opens what is in HOME/tls, makes what is missing, and gives head, store and user new
// certificates, so that nobody's runs out. Blocks.
Result<HeadKeys> open_head_keys(const Home& home, transport::WallSeconds now);

}  // namespace leat::scheduler
