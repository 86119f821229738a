#pragma once

// spec_codec.h - job and pool specs between the protocol and the core.

#include <capnp/serialize.h>

#include <string_view>

#include "base/result.h"
#include "scheduler/core/spec.h"
#include "scheduler/store/value_codec.h"
#include "schema/types.capnp.h"

namespace leat::store {

// What a user asks for, from an untrusted message: the fields the core looks at, and in `encoded`
// the whole of it as one flat message of one segment. Refused with kNotInThisVersion what later
// versions will have (gangs of unlike members, other policies for lost nodes, exclusive runs, …),
// with kInvalid what no version can run (no program, a directory that is not absolute, …).
// core::check() judges the rest. Never throws.
Result<core::JobSpec> read_job_spec(schema::JobSpec::Reader from);

// The same of a job with a pool for it alone, which `encoded` keeps too.
Result<core::JobSpec> read_job_spec(schema::JobSpec::Reader from, schema::PoolSpec::Reader own);

// The same for a spec that was accepted once and comes from the store: later and stricter rules
// do not apply to it. Refused only if it cannot be understood.
Result<core::JobSpec> restore_job_spec(schema::JobSpec::Reader from);

// A whole flat message as kept in `encoded`.
Result<core::JobSpec> restore_job_spec(std::string_view encoded);

// Calls visit(schema::JobSpec::Reader) on what `spec.encoded` holds; the reader is valid only
// within. To write a spec into a message, visit with `to.setSpec(reader)`: that copies every
// field, also those this version does not know. Shells find program, environment and inputs here,
// which the core does not look at. Precondition: `encoded` is there.
template <typename Visit>
auto with_encoded(const core::JobSpec& spec, Visit visit);

// Refused if its shape is no list of resources. core::check() judges the rest.
Result<core::PoolSpec> read_pool_spec(schema::PoolSpec::Reader from);
// From the store: whatever was accepted once.
core::PoolSpec restore_pool_spec(schema::PoolSpec::Reader from);
void write_pool_spec(const core::PoolSpec& spec, schema::PoolSpec::Builder to);

namespace detail {
kj::ArrayPtr<const capnp::word> words_of(const core::JobSpec& spec);
capnp::ReaderOptions own_message();  // limits for messages we wrote ourselves
}  // namespace detail

template <typename Visit>
auto with_encoded(const core::JobSpec& spec, Visit visit) {
  capnp::FlatArrayMessageReader message(detail::words_of(spec), detail::own_message());
  return visit(message.getRoot<schema::JobSpec>());
}

}  // namespace leat::store
