#include "node-agent/data_server.h"

#include <kj/debug.h>

#include <deque>
#include <map>
#include <string_view>
#include <utility>

#include "node-agent/agent_codec.h"
#include "schema/data.capnp.h"
#include "transport/session.h"
#include "transport/turnstile.h"
#include "transport/wire_refusal.h"

namespace leat::agent {
namespace {

using transport::write_refusal;

// A reduce shows the same ticket again and again, and each check of a signature takes 0.1 ms.
constexpr std::size_t kTicketsKept = 16;

std::string_view chars_of(capnp::Data::Reader data) {
  return {reinterpret_cast<const char*>(data.begin()), data.size()};
}

kj::ArrayPtr<const kj::byte> bytes_of(const std::string& text) {
  return kj::arrayPtr(text.data(), text.size()).asBytes();
}

// Who may read what, and how much is going on. Shared by all connections.
struct TicketDesk {
  Result<Done> may_read(std::string_view bytes, const std::string& reader, const RunSet& runs);

  struct Seen {
    std::string bytes;
    std::string reader;
    transport::Ticket ticket;
  };

  WallClock clock;
  std::optional<transport::TicketVerifier> verifier;
  std::deque<Seen> seen;
  std::size_t reads = 0;
  std::uint64_t bytes_out = 0;
};

Result<Done> TicketDesk::may_read(std::string_view bytes, const std::string& reader,
                                  const RunSet& runs) {
  const transport::WallSeconds now = clock();
  if (!verifier) return invalid("this node has not joined yet: no ticket can be checked");
  const transport::Ticket* good = nullptr;
  for (const Seen& s : seen)
    if (s.bytes == bytes && s.reader == reader && now < s.ticket.expires_wall_s) good = &s.ticket;
  if (good == nullptr) {
    Result<transport::Ticket> checked = verifier->verify(bytes, reader, now);
    if (!checked.ok()) return checked.refusal();
    if (seen.size() == kTicketsKept) seen.pop_back();
    seen.push_front({std::string(bytes), reader, std::move(checked).value()});
    good = &seen.front().ticket;
  }
  if (good->right != transport::Ticket::Right::kRead || good->job != runs.stage.job ||
      good->stage != runs.stage.stage || good->blob_hash != transport::Hash{})
    return invalid("this ticket is for something else");
  if (good->indices.empty()) return Done{};
  const Result<IndexList> allowed = IndexList::from_strides(good->indices);
  if (!allowed.ok() || !allowed.value().positions_of(runs.indices))
    return invalid("this ticket is for other tasks");
  return Done{};
}

// What one peer calls.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class DataGate final : public schema::DataServer::Server {
 public:
  DataGate(TicketDesk& desk, Outputs& outputs, std::string reader,
           std::shared_ptr<transport::Turnstile> turnstile)
      : desk_(desk),
        outputs_(outputs),
        reader_(std::move(reader)),
        turnstile_(std::move(turnstile)) {}

  kj::Promise<void> read(ReadContext context) override {
    context.allowCancellation();
    const auto params = context.getParams();
    const RunId run = read_run_id(params.getRun());
    if (run.index >= kIndexLimit) return refuse(context, invalid("no such task"));
    RunSet one{stage_of(run), run.attempt, IndexList(Stride{run.index}), 0};
    const Result<Done> may = desk_.may_read(chars_of(params.getTicket()), reader_, one);
    if (!may.ok()) return refuse(context, may.refusal());
    const auto stream = params.getStream() == schema::Stream::ERROR ? spool::Stream::kError
                                                                    : spool::Stream::kOutput;
    if (desk_.reads >= kReadsMax) return refuse(context, overloaded());
    ++desk_.reads;
    const std::uint64_t length = params.getLength();
    return outputs_.wait(run, stream, params.getOffset(), length)
        .then([this]() { return turnstile_->enter(); })
        .then([this, context, run, stream](kj::Own<transport::Turnstile::Pass>) mutable {
          const auto asked = context.getParams();
          const Result<Outputs::Piece> piece =
              outputs_.read(run, stream, asked.getOffset(), asked.getLength());
          if (!piece.ok())
            return write_refusal(piece.refusal(), context.getResults().initRefusal());
          auto bytes = context.getResults().initBytes();
          bytes.setData(bytes_of(piece.value().data));
          bytes.setTotal(piece.value().total);
          bytes.setFinished(piece.value().finished);
          bytes.setTruncated(piece.value().truncated);
          desk_.bytes_out += piece.value().data.size();
        })
        .attach(kj::defer([&desk = desk_]() { --desk.reads; }));
  }

  kj::Promise<void> clock(ClockContext context) override {
    context.getResults().setWallSeconds(desk_.clock());
    return kj::READY_NOW;
  }

  kj::Promise<void> readSet(ReadSetContext context) override {
    context.allowCancellation();
    const auto params = context.getParams();
    const Result<RunSet> runs = read_run_set(params.getRuns());
    if (!runs.ok()) return refuse(context, runs.refusal());
    const Result<Done> may = desk_.may_read(chars_of(params.getTicket()), reader_, runs.value());
    if (!may.ok()) return refuse(context, may.refusal());
    if (desk_.reads >= kReadsMax) return refuse(context, overloaded());
    ++desk_.reads;
    return turnstile_->enter()
        .then([this, context, set = runs.value()](kj::Own<transport::Turnstile::Pass>) mutable {
          const auto asked = context.getParams();
          const Result<Outputs::SetPiece> piece =
              outputs_.read_set(set, asked.getPosition(), asked.getOffset(), asked.getLength());
          if (!piece.ok())
            return write_refusal(piece.refusal(), context.getResults().initRefusal());
          auto bytes = context.getResults().initBytes();
          bytes.setData(bytes_of(piece.value().data));
          bytes.setPosition(piece.value().position);
          bytes.setOffset(piece.value().offset);
          bytes.setFinished(piece.value().finished);
          desk_.bytes_out += piece.value().data.size();
        })
        .attach(kj::defer([&desk = desk_]() { --desk.reads; }));
  }

 private:
  template <typename Context>
  static kj::Promise<void> refuse(Context& context, const Refusal& refusal) {
    write_refusal(refusal, context.getResults().initRefusal());
    return kj::READY_NOW;
  }

  static Refusal overloaded() {
    return {Reason::kOverloaded, "too many readers on this node: try again later"};
  }

  TicketDesk& desk_;
  Outputs& outputs_;
  std::string reader_;
  std::shared_ptr<transport::Turnstile> turnstile_;
};
#pragma GCC diagnostic pop

}  // namespace

struct DataServer::Parts final : private kj::TaskSet::ErrorHandler {
  explicit Parts(Outputs& outputs_in) : outputs(outputs_in), ending(*this) {}

  void accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream);
  void taskFailed(kj::Exception&&) override {}

  Outputs& outputs;
  TicketDesk desk;
  kj::Own<transport::TlsListener> listener;
  std::uint64_t next_session = 0;
  std::map<std::uint64_t, kj::Own<transport::Session>> sessions;
  kj::TaskSet ending;  // last: cancelled before anything it uses goes
};

void DataServer::Parts::accept(const transport::Peer& peer, kj::Own<kj::AsyncIoStream> stream) {
  if (sessions.size() >= kDataSessionsMax) return;
  const std::uint64_t number = next_session++;
  auto turnstile = std::make_shared<transport::Turnstile>();
  schema::DataServer::Client gate =
      kj::heap<DataGate>(desk, outputs, transport::common_name(peer), turnstile);
  auto session = kj::heap<transport::Session>(kj::mv(stream), transport::Session::Side::kAccepted,
                                              kj::mv(gate), transport::kDataServerLimits);
  turnstile->bind(*session);
  session = session.attach(kj::defer([turnstile]() { turnstile->unbind(); }));
  // Destroyed in a turn of its own, never from within one of its callbacks.
  ending.add(session->on_disconnect().then([this, number]() {
    ending.add(kj::evalLater([this, number]() { sessions.erase(number); }));
  }));
  sessions.emplace(number, kj::mv(session));
}

DataServer::DataServer(kj::Own<Parts> parts) : parts_(kj::mv(parts)) {}
DataServer::~DataServer() noexcept(false) = default;

// NOLINTNEXTLINE(readability-function-size): what a listener needs, in its order.
Result<kj::Own<DataServer>> DataServer::open(kj::Network& network, kj::Timer& timer,
                                             const std::string& address, kj::TlsContext& context,
                                             Outputs& outputs, WallClock clock,
                                             transport::OnComplaint on_complaint) {
  auto parts = kj::heap<Parts>(outputs);
  parts->desk.clock = std::move(clock);
  Parts* p = parts.get();
  Result<kj::Own<transport::TlsListener>> listener = transport::TlsListener::open(
      network, timer, address, context,
      [p](transport::Peer peer, kj::Own<kj::AsyncIoStream> stream) {
        p->accept(peer, kj::mv(stream));
      },
      std::move(on_complaint));
  if (!listener.ok()) return listener.refusal();
  parts->listener = std::move(listener).value();
  return kj::heap<DataServer>(kj::mv(parts));
}

std::uint16_t DataServer::port() const {
  return parts_->listener->port();
}
std::uint64_t DataServer::bytes_out() const {
  return parts_->desk.bytes_out;
}

void DataServer::set_ticket_key(const transport::PublicKey& key) {
  parts_->desk.verifier.emplace(key);
  parts_->desk.seen.clear();
}

}  // namespace leat::agent
