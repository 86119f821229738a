#pragma once

// spec_rules.h - what of a job is refused before the core sees it: it looks at less than all.

#include <optional>
#include <string>

#include "base/result.h"
#include "schema/types.capnp.h"

namespace leat::store {

// What no version can run, or this one cannot yet; nothing for a good spec. May throw
// kj::Exception on a broken message.
std::optional<Refusal> check_job_message(schema::JobSpec::Reader job);

// Resources this version does not place; `where` begins the message.
std::optional<Refusal> check_resources_message(schema::Resources::Reader resources,
                                               const std::string& where);

}  // namespace leat::store
