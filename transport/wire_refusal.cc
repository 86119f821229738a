#include "transport/wire_refusal.h"

namespace leat::transport {
namespace {

using Wire = schema::Refusal::Reason;

Reason from_wire(Wire reason) {
  switch (reason) {
    case Wire::NOT_FOUND:
      return Reason::kNotFound;
    case Wire::INVALID:
      return Reason::kInvalid;
    case Wire::OVERLOADED:
      return Reason::kOverloaded;
    case Wire::DISCONNECTED:
      return Reason::kDisconnected;
    case Wire::NOT_IN_THIS_VERSION:
      return Reason::kNotInThisVersion;
    case Wire::CONFLICT:
      break;
  }
  return Reason::kConflict;
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
  const capnp::Text::Reader message = from.getMessage();
  return {from_wire(from.getReason()), std::string(message.begin(), message.size())};
}

void write_refusal(const Refusal& refusal, schema::Refusal::Builder to) {
  to.setReason(to_wire(refusal.reason));
  to.setMessage({refusal.message.c_str(), refusal.message.size()});
}

}  // namespace leat::transport
