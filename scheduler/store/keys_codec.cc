#include "scheduler/store/keys_codec.h"

#include <algorithm>
#include <utility>

#include "scheduler/store/message_bytes.h"
#include "scheduler/store/value_codec.h"
#include "schema/snapshot.capnp.h"

namespace leat::store {
namespace {

struct AnswerWriter {
  schema::GivenAnswer::Builder to;

  void operator()(Done) { to.setDone(); }
  void operator()(JobId job) { to.setJob(job.value); }
  void operator()(PoolId pool) { to.setPool(pool.value); }
  void operator()(NodeRef node) { write_node_ref(node, to.initNode()); }
  void operator()(std::uint64_t number) { to.setNumber(number); }
};

Result<core::Answer> read_any_answer(schema::GivenAnswer::Reader from) {
  switch (from.which()) {
    case schema::GivenAnswer::DONE:
      return core::Answer(Done{});
    case schema::GivenAnswer::JOB:
      return core::Answer(JobId{from.getJob()});
    case schema::GivenAnswer::POOL:
      return core::Answer(PoolId{from.getPool()});
    case schema::GivenAnswer::NODE:
      return core::Answer(read_node_ref(from.getNode()));
    case schema::GivenAnswer::NUMBER:
      return core::Answer(from.getNumber());
  }
  return invalid("an answer this version does not know");
}

Result<core::Granted> read_wish(schema::KeysRow::Wish::Reader from) {
  const Result<core::WishKind> kind = read_wish_kind(from.getKind());
  if (!kind.ok()) return kind.refusal();
  Result<core::Answer> answer = read_answer(kind.value(), from.getAnswer());
  if (!answer.ok()) return answer.refusal();
  return core::Granted{kind.value(), read_text(from.getKey()), Time{Duration{from.getAtUs()}},
                       std::move(answer).value()};
}

}  // namespace

void write_answer(const core::Answer& answer, schema::GivenAnswer::Builder to) {
  std::visit(AnswerWriter{to}, answer);
}

Result<core::WishKind> read_wish_kind(std::uint16_t from) {
  if (from >= core::kWishKindCount) return invalid("a kind of wish this version does not know");
  return static_cast<core::WishKind>(from);
}

Result<core::Answer> read_answer(core::WishKind kind, schema::GivenAnswer::Reader from) {
  Result<core::Answer> answer = read_any_answer(from);
  // Whoever submits takes it for granted.
  if (answer.ok() && kind == core::WishKind::kSubmit &&
      !std::holds_alternative<JobId>(answer.value()))
    return invalid("a submit that was not answered with a job");
  return answer;
}

std::string encode_keys(const core::GrantedWishes& granted, std::uint64_t page) {
  constexpr std::uint64_t kPerPage = core::GrantedWishes::kPerPage;
  const std::uint64_t first = std::max(granted.first(), page * kPerPage);
  const std::uint64_t end = std::min(granted.next(), (page + 1) * kPerPage);
  return to_bytes<schema::KeysRow>([&](schema::KeysRow::Builder to) {
    to.setFirst(first);
    auto wishes = to.initWishes(static_cast<capnp::uint>(end - first));
    for (capnp::uint n = 0; n < wishes.size(); ++n) {
      const core::Granted& wish = granted.at(first + n);
      wishes[n].setKind(static_cast<std::uint16_t>(wish.kind));
      wishes[n].setKey(text_of(wish.key));
      wishes[n].setAtUs(wish.at.us());
      write_answer(wish.answer, wishes[n].initAnswer());
    }
  });
}

Result<KeysPage> decode_keys(std::span<const std::byte> bytes) {
  return from_bytes<KeysPage, schema::KeysRow>(
      bytes, "keys", [](schema::KeysRow::Reader from) -> Result<KeysPage> {
        if (from.getWishes().size() > core::GrantedWishes::kPerPage)
          return invalid("keys: more than a page has");
        KeysPage page{from.getFirst(), {}};
        for (const auto wish : from.getWishes()) {
          Result<core::Granted> read = read_wish(wish);
          if (!read.ok()) return read.refusal();
          page.wishes.push_back(std::move(read).value());
        }
        return page;
      });
}

}  // namespace leat::store
