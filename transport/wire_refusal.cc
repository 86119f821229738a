#include "transport/wire_refusal.h"

namespace leat::transport {
namespace {

using Wire = schema::Refusal::Reason;

Reason from_wire(Wire reason) {
  switch (reason) {
    case Wire::NOT_FOUND:
      return Reason::kNotFound;
    case Wire::CONFLICT:
      return Reason::kConflict;
    case Wire::OVERLOADED:
      return Reason::kOverloaded;
    case Wire::DISCONNECTED:
      return Reason::kDisconnected;
    case Wire::NOT_IN_THIS_VERSION:
      return Reason::kNotInThisVersion;
    case Wire::INVALID:
      break;
  }
  return Reason::kInvalid;
}

Wire to_wire(Reason reason) {
  switch (reason) {
    case Reason::kNotFound:
      return Wire::NOT_FOUND;
    case Reason::kConflict:
      return Wire::CONFLICT;
    case Reason::kOverloaded:
      return Wire::OVERLOADED;
    case Reason::kDisconnected:
      return Wire::DISCONNECTED;
    case Reason::kNotInThisVersion:
      return Wire::NOT_IN_THIS_VERSION;
    case Reason::kInvalid:
      break;
  }
  return Wire::INVALID;
}

}  // namespace

Refusal read_refusal(schema::Refusal::Reader from) {
  return {from_wire(from.getReason()), from.getMessage().cStr()};
}

void write_refusal(const Refusal& refusal, schema::Refusal::Builder to) {
  to.setReason(to_wire(refusal.reason));
  to.setMessage(refusal.message.c_str());
}

}  // namespace leat::transport
