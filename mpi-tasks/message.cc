#include "mpi-tasks/message.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>

#include "mpi-tasks/wire_text.h"
#include "schema/gang.capnp.h"

namespace leat::mpi {
namespace {

using schema::GangMessage;

static_assert(static_cast<int>(Message::Type::kEnd) == static_cast<int>(GangMessage::Type::END));
static_assert(static_cast<int>(Message::Type::kLost) == static_cast<int>(GangMessage::Type::LOST));
static_assert(static_cast<int>(Stage::kFinalized) ==
              static_cast<int>(GangMessage::Stage::FINALIZED));
static_assert(static_cast<int>(Gathering::kBarrier) ==
              static_cast<int>(GangMessage::Kind::BARRIER));

capnp::Text::Reader text_of(const std::string& text) {
  return {text.c_str(), text.size()};
}

capnp::Data::Reader data_of(const std::string& bytes) {
  return {reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()};
}

std::string bytes_of(capnp::Data::Reader bytes) {
  return {reinterpret_cast<const char*>(bytes.begin()), bytes.size()};
}

// The enumerator, if this version knows it.
template <typename To, typename From>
To known(From value, To last) {
  const auto number = static_cast<std::uint16_t>(value);
  KJ_REQUIRE(number <= static_cast<std::uint16_t>(last), "from a later version", number);
  return static_cast<To>(number);
}

void write(const Message& message, GangMessage::Builder to) {
  to.setType(static_cast<GangMessage::Type>(message.type));
  to.setNode(message.node);
  to.setRank(message.rank);
  to.setId(message.id);
  to.setStatus(message.status);
  to.setSignalled(message.signalled);
  to.setStage(static_cast<GangMessage::Stage>(message.stage));
  to.setKind(static_cast<GangMessage::Kind>(message.gathering));
  to.setFlag(message.flag);
  to.setRanks(kj::arrayPtr(message.ranks.data(), message.ranks.size()));
  to.setText(text_of(message.text));
  to.setBytes(data_of(message.bytes));
  to.setPeer(message.peer);
  auto keys = to.initKeys(static_cast<capnp::uint>(message.keys.size()));
  for (capnp::uint i = 0; i < keys.size(); ++i) keys.set(i, text_of(message.keys[i]));
  auto entries = to.initEntries(static_cast<capnp::uint>(message.entries.size()));
  for (capnp::uint i = 0; i < entries.size(); ++i) {
    entries[i].setKey(text_of(message.entries[i].key));
    entries[i].setRank(message.entries[i].publisher);
    entries[i].setBytes(data_of(message.entries[i].value));
  }
}

Message read(GangMessage::Reader from) {
  Message message;
  message.type = known(from.getType(), Message::Type::kLost);
  message.node = from.getNode();
  message.rank = from.getRank();
  message.id = from.getId();
  message.status = from.getStatus();
  message.signalled = from.getSignalled();
  message.stage = known(from.getStage(), Stage::kFinalized);
  message.gathering = known(from.getKind(), Gathering::kBarrier);
  message.flag = from.getFlag();
  for (const Rank rank : from.getRanks()) message.ranks.push_back(rank);
  message.text = string_of(from.getText());
  message.bytes = bytes_of(from.getBytes());
  for (const capnp::Text::Reader key : from.getKeys()) message.keys.push_back(string_of(key));
  for (const GangMessage::Entry::Reader entry : from.getEntries())
    message.entries.push_back(
        {string_of(entry.getKey()), entry.getRank(), bytes_of(entry.getBytes())});
  message.peer = from.getPeer();
  return message;
}

}  // namespace

std::string encode(const Message& message) {
  capnp::MallocMessageBuilder builder;
  write(message, builder.initRoot<GangMessage>());
  const kj::Array<capnp::word> words = capnp::messageToFlatArray(builder);
  const auto bytes = words.asChars();
  return {bytes.begin(), bytes.size()};
}

Result<Message> decode(std::span<const std::byte> bytes) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = kMessageBytesMax / sizeof(capnp::word);
  // What arrives need not be aligned.
  kj::Array<capnp::word> words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), bytes.data(), words.size() * sizeof(capnp::word));
  Message message;
  KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&] {
                 capnp::FlatArrayMessageReader reader(words, options);
                 message = read(reader.getRoot<GangMessage>());
               })) {
    const kj::StringPtr why = failure->getDescription();
    return invalid("not a message of a launcher: " +
                   std::string(why.cStr(), why.findFirst('\n').orDefault(why.size())));
  }
  return message;
}

}  // namespace leat::mpi
