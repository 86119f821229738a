#include "store-server/wire_words.h"

namespace leat::blobs {
namespace {

schema::Refusal::Reason to_schema(Reason reason) {
  switch (reason) {
    case Reason::kNotFound:
      return schema::Refusal::Reason::NOT_FOUND;
    case Reason::kConflict:
      return schema::Refusal::Reason::CONFLICT;
    case Reason::kOverloaded:
      return schema::Refusal::Reason::OVERLOADED;
    case Reason::kDisconnected:
      return schema::Refusal::Reason::DISCONNECTED;
    case Reason::kNotInThisVersion:
      return schema::Refusal::Reason::NOT_IN_THIS_VERSION;
    case Reason::kInvalid:
      break;
  }
  return schema::Refusal::Reason::INVALID;
}

}  // namespace

void write_refusal(schema::Refusal::Builder out, const Refusal& refusal) {
  out.setReason(to_schema(refusal.reason));
  out.setMessage(refusal.message.c_str());
}

}  // namespace leat::blobs
