// samples_same.cc - whether two facts say the same.

#include <capnp/any.h>

#include "scheduler/store/spec_codec.h"
#include "tests/scheduler/store/samples.h"

namespace leat::store {
namespace {

// By what is said: a file of an older version has smaller structs.
bool same_encoded(const core::JobSpec& a, const core::JobSpec& b) {
  return with_encoded(a, [&b](schema::JobSpec::Reader x) {
    return with_encoded(b, [x](schema::JobSpec::Reader y) {
      return capnp::AnyStruct::Reader(x) == capnp::AnyStruct::Reader(y);
    });
  });
}

}  // namespace

bool same(const core::Fact& a, const core::Fact& b) {
  const auto* x = std::get_if<core::JobAccepted>(&a);
  const auto* y = std::get_if<core::JobAccepted>(&b);
  if (x == nullptr || y == nullptr) return a == b;
  return x->job == y->job && x->key == y->key && x->owner == y->owner &&
         x->spec->name == y->spec->name && x->spec->stages == y->spec->stages &&
         x->spec->result_stage == y->spec->result_stage && x->after == y->after &&
         same_encoded(*x->spec, *y->spec);
}

}  // namespace leat::store
