#pragma once

// samples.h - one of every record with values that are written down, for codec and fixtures.

#include <capnp/message.h>

#include <map>
#include <string>

#include "base/random.h"
#include "scheduler/core/messages.h"
#include "scheduler/core/state.h"

namespace leat::store {

// At least one fact of each kind by the name of its fixture. The values never change: files in
// tests/fixtures were written from them and must be read as them for ever.
std::map<std::string, core::Fact> sample_facts();

RunColumns sample_columns();
core::Meta sample_meta();
core::Pool sample_pool();
core::Pool sample_elastic_pool();  // with all that the first version did not have
core::Node sample_node();
core::Job sample_job();
// What later versions added: one that is held, and waits.
core::Job sample_waiting_job();
// One that has ended, with what did not succeed of each of its three stages.
core::Job sample_past_job();
// Ten tasks in six states.
core::Stage sample_stage(const core::StageSpec& spec);
// The same, with tasks that wait for their next try.
core::Stage sample_delayed_stage(const core::StageSpec& spec);

// Five wishes, numbers 70 to 74: the rest of page 1 is not there.
void fill(core::GrantedWishes& wishes);

// A schema JobSpec in which every field, also those of later versions, has a value of its own.
void fill_job_spec(capnp::MessageBuilder& message);

// The same, and what later versions added.
void fill_waits(capnp::MessageBuilder& message);

core::Resources random_resources(Random& random);
// What a pool says of tasks and limits.
void adorn(core::PoolSpec& spec, Random& random);

// Any fact of the kind with this number in the variant.
core::Fact random_fact(std::size_t kind, Random& random);

// Equal in every field; specs by their bytes.
bool same(const core::Fact& a, const core::Fact& b);

}  // namespace leat::store
