// blob_service_test.cc - the store over TLS: round trips, tickets, limits, strangers.

#include "store-server/blob_service.h"

#include <kj/debug.h>

#include "store-server/connections.h"
#include "tests/store-server/support.h"

namespace leat::blobs {
namespace {

const Peer kUser{Peer::Kind::kUser, {}, 1000};
const Peer kAgent{Peer::Kind::kAgent, {NodeId{3}, NodeEpoch{7}}, 0};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class SettableClock final : public kj::Clock {
 public:
  kj::Date now() const override { return kj::UNIX_EPOCH + seconds * kj::SECONDS; }
  WallSeconds seconds = wall_now();
};

#pragma GCC diagnostic pop

// A store that serves on the test's own loop. The service's timer stands until the test moves it.
// Destroyed from the bottom up.
struct ServedStore {
  explicit ServedStore(std::uint64_t quota = std::uint64_t{1} << 30, ServiceLimits limits = {})
      : store(std::move(BlobStore::open(home.home / "blobs", quota)).value()),
        context(make_context(load_credentials(home.home / "tls/store").value(), loop.timer())),
        sync_thread(*store, loop.io.unixEventPort),
        outputs(std::move(OutputStore::open(home.home / "outputs", store->room())).value()),
        service({*store, *outputs, sync_thread}, TicketVerifier(home.signer.public_key()), timer,
                clock, limits),
        connections(service),
        listener(std::move(TlsListener::open(loop.network(), loop.timer(), "127.0.0.1:0", *context,
                                             [this](Peer peer, kj::Own<kj::AsyncIoStream> stream) {
                                               connections.accept(peer, kj::mv(stream));
                                             }))
                     .value()) {}

  std::string address() const { return local(listener->port()); }
  std::unique_ptr<StoreClient> connect(const Peer& peer) {
    return std::make_unique<StoreClient>(loop, home, address(), peer);
  }
  std::string incoming() const { return home.home / "blobs/incoming"; }

  Loop loop;
  StoreHome home;
  SettableClock clock;
  kj::TimerImpl timer{kj::origin<kj::TimePoint>()};
  std::unique_ptr<BlobStore> store;
  kj::Own<kj::TlsContext> context;
  SyncThread sync_thread;
  std::unique_ptr<OutputStore> outputs;
  BlobService service;
  Connections connections;
  kj::Own<TlsListener> listener;
};

// Everything the blob holds, by ranges, proved.
Result<std::string> get_whole(Loop& loop, StoreClient& client, const std::string& ticket,
                              const Blob& blob) {
  std::string bytes;
  const Result<Done> done =
      loop.within(get_blob(client.store(), ticket, blob,
                           [&bytes](kj::ArrayPtr<const kj::byte> more) -> kj::Promise<void> {
                             bytes.append(reinterpret_cast<const char*>(more.begin()), more.size());
                             return kj::READY_NOW;
                           }));
  if (!done.ok()) return done.refusal();
  return bytes;
}

Result<Blob> put_whole(Loop& loop, StoreClient& client, const std::string& ticket,
                       const std::string& bytes) {
  return loop.within(put_blob(client.store(), ticket, bytes.size(), memory_source(bytes)));
}

TEST(BlobServiceTest, CarriesBytesThereAndBack) {
  ServedStore s;
  const auto user = s.connect(kUser);
  const auto agent = s.connect(kAgent);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kUser);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kBlobChunkBytes, std::size_t{5'000'001}}) {
    const std::string bytes = some_bytes(size, size + 1);
    const Blob blob{hash_of(bytes), size};
    EXPECT_FALSE(s.loop.within(has_blob(user->store(), write, blob.hash)).value());
    const Result<Blob> stored = put_whole(s.loop, *user, write, bytes);
    ASSERT_TRUE(stored.ok()) << stored.refusal().message;
    EXPECT_EQ(stored.value(), blob);
    EXPECT_TRUE(s.loop.within(has_blob(user->store(), write, blob.hash)).value());
    const std::string one = s.home.ticket(Ticket::Right::kRead, kAgent, blob.hash);
    EXPECT_EQ(get_whole(s.loop, *agent, one, blob).value(), bytes);
    const std::string job = s.home.ticket(Ticket::Right::kRead, kAgent);
    if (size > 100) {
      const std::uint64_t offset = size - 100;
      EXPECT_EQ(s.loop.within(get_bytes(agent->store(), job, blob.hash, offset, 100)).value(),
                bytes.substr(offset));
      EXPECT_EQ(
          s.loop.within(get_bytes(agent->store(), job, blob.hash, offset, 101)).refusal().reason,
          Reason::kInvalid);
    }
  }
  EXPECT_EQ(s.store->usage().blobs, 4u);
  EXPECT_EQ(files_in(s.incoming()), 0u);
}

TEST(BlobServiceTest, KeepsEqualBytesOnceAlsoWhenTheyComeAtOnce) {
  ServedStore s;
  const auto user = s.connect(kUser);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kUser);
  const std::string bytes = some_bytes(300'000, 1);
  auto one = put_blob(user->store(), write, bytes.size(), memory_source(bytes));
  auto two = put_blob(user->store(), write, kLengthUnknown, memory_source(bytes));
  EXPECT_TRUE(s.loop.within(kj::mv(one)).ok());
  EXPECT_TRUE(s.loop.within(kj::mv(two)).ok());
  EXPECT_EQ(s.store->usage().blobs, 1u);
  EXPECT_EQ(s.store->usage().bytes, bytes.size());
}

TEST(BlobServiceTest, AsksForTheRightTicket) {
  ServedStore s;
  const auto agent = s.connect(kAgent);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kAgent);
  const std::string bytes = "the content";
  const Blob blob = put_whole(s.loop, *agent, write, bytes).value();
  const auto read_with = [&](const std::string& ticket) {
    return get_whole(s.loop, *agent, ticket, blob).ok();
  };
  std::string forged = s.home.ticket(Ticket::Right::kRead, kAgent);
  EXPECT_TRUE(read_with(forged));
  forged[forged.size() / 2] = static_cast<char>(forged[forged.size() / 2] ^ 1);
  EXPECT_FALSE(read_with(forged));
  EXPECT_FALSE(read_with(""));
  EXPECT_FALSE(read_with(some_bytes(200, 1)));
  EXPECT_FALSE(read_with(write));
  EXPECT_FALSE(read_with(s.home.ticket(Ticket::Right::kRead, kUser)));
  EXPECT_FALSE(read_with(s.home.ticket(Ticket::Right::kRead, kAgent, hash_of("another"))));
  EXPECT_FALSE(read_with(s.home.ticket(Ticket::Right::kRead, kAgent, {}, {Stride{0, 5, 1}})));
  EXPECT_FALSE(read_with(s.home.ticket(Ticket::Right::kRead, kAgent, blob.hash, {}, -1)));
  const TicketSigner other = TicketSigner::open(s.home.home.path()).value();
  Ticket ticket;
  ticket.reader = common_name(kAgent);
  ticket.expires_wall_s = wall_now() + 600;
  EXPECT_FALSE(read_with(other.sign(ticket).value()));

  const std::string read = s.home.ticket(Ticket::Right::kRead, kAgent);
  EXPECT_FALSE(put_whole(s.loop, *agent, read, "new").ok());
  EXPECT_FALSE(put_whole(s.loop, *agent, "", "new").ok());
  EXPECT_FALSE(s.loop.within(has_blob(agent->store(), "", blob.hash)).value());
  EXPECT_EQ(s.store->usage().blobs, 1u);
}

TEST(BlobServiceTest, ForgetsATicketThatExpiresWhileItIsInUse) {
  ServedStore s;
  const auto agent = s.connect(kAgent);
  const Blob blob =
      put_whole(s.loop, *agent, s.home.ticket(Ticket::Right::kWrite, kAgent), "bytes").value();
  const std::string read = s.home.ticket(Ticket::Right::kRead, kAgent, blob.hash);
  EXPECT_TRUE(get_whole(s.loop, *agent, read, blob).ok());
  s.clock.seconds += 601;
  EXPECT_FALSE(get_whole(s.loop, *agent, read, blob).ok());
}

TEST(BlobServiceTest, TellsWhyAnUploadIsTurnedDown) {
  ServedStore s(100'000);
  const auto user = s.connect(kUser);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kUser);
  const std::string bytes = some_bytes(200'000, 1);
  const auto refusal = [&](std::uint64_t declared) {
    return s.loop.within(put_blob(user->store(), write, declared, memory_source(bytes))).refusal();
  };
  EXPECT_EQ(refusal(bytes.size()).reason, Reason::kOverloaded);
  EXPECT_NE(refusal(kLengthUnknown).message.find("--store-quota"), std::string::npos);
  EXPECT_EQ(refusal(50'000).reason, Reason::kInvalid);
  EXPECT_EQ(refusal(kBlobBytesMax + 1).reason, Reason::kInvalid);
  const Result<Blob> failed = s.loop.within(
      put_blob(user->store(), write, 10, [](kj::ArrayPtr<kj::byte>) -> kj::Promise<std::size_t> {
        return KJ_EXCEPTION(FAILED, "the input is on fire");
      }));
  EXPECT_EQ(failed.refusal().reason, Reason::kConflict);
  EXPECT_EQ(s.store->usage().blobs, 0u);
}

TEST(BlobServiceTest, TakesNoWriteOverTheLimitAndNoSecondFinish) {
  ServedStore s;
  const auto user = s.connect(kUser);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kUser);
  const auto open = [&] {
    auto request = user->store().putRequest();
    request.setTicket({reinterpret_cast<const kj::byte*>(write.data()), write.size()});
    request.setLength(kLengthUnknown);
    return s.loop.within(request.send()).getUpload();
  };
  const auto send = [&](schema::Upload::Client& upload, std::size_t size) {
    auto request = upload.writeRequest();
    request.initData(static_cast<kj::uint>(size));
    s.loop.within(request.send());
  };
  schema::Upload::Client upload = open();
  send(upload, schema::MAX_READ_BYTES + 1);
  auto answer = s.loop.within(upload.finishRequest().send());
  ASSERT_TRUE(answer.isRefusal());
  EXPECT_EQ(answer.getRefusal().getReason(), schema::Refusal::Reason::INVALID);

  schema::Upload::Client fine = open();
  send(fine, schema::MAX_READ_BYTES);
  EXPECT_TRUE(s.loop.within(fine.finishRequest().send()).isBlob());
  EXPECT_TRUE(s.loop.within(fine.finishRequest().send()).isRefusal());
  EXPECT_EQ(s.store->usage().blobs, 1u);
}

// Opens an upload and sends part of it.
schema::Upload::Client begin_upload(ServedStore& s, StoreClient& client, const Peer& peer) {
  const std::string write = s.home.ticket(Ticket::Right::kWrite, peer);
  auto put = client.store().putRequest();
  put.setTicket({reinterpret_cast<const kj::byte*>(write.data()), write.size()});
  put.setLength(1000);
  auto opened = s.loop.within(put.send());
  if (opened.isRefusal()) return nullptr;
  schema::Upload::Client upload = opened.getUpload();
  auto write_some = upload.writeRequest();
  write_some.initData(10);
  s.loop.within(write_some.send());
  return upload;
}

TEST(BlobServiceTest, LimitsUploadsOfOnePeerButNotOfOthers) {
  ServiceLimits limits;
  limits.uploads_per_peer_max = 2;
  ServedStore s(std::uint64_t{1} << 30, limits);
  const auto user = s.connect(kUser);
  const auto again = s.connect(kUser);
  const auto agent = s.connect(kAgent);
  const auto one = begin_upload(s, *user, kUser);
  {
    const auto two = begin_upload(s, *again, kUser);
    const Result<Blob> third =
        put_whole(s.loop, *user, s.home.ticket(Ticket::Right::kWrite, kUser), "third");
    ASSERT_FALSE(third.ok());
    EXPECT_EQ(third.refusal().reason, Reason::kOverloaded);
    EXPECT_TRUE(
        put_whole(s.loop, *agent, s.home.ticket(Ticket::Right::kWrite, kAgent), "third").ok());
    EXPECT_EQ(s.service.uploads_open(), 2u);
  }
  DirectoryEvents dropped(s.loop.io.unixEventPort, s.incoming());
  while (s.service.uploads_open() > 1) s.loop.within(dropped.next());
  EXPECT_TRUE(put_whole(s.loop, *user, s.home.ticket(Ticket::Right::kWrite, kUser), "fourth").ok());
}

TEST(BlobServiceTest, DropsAnUploadThatStandsStill) {
  ServedStore s;
  const auto user = s.connect(kUser);
  schema::Upload::Client upload = begin_upload(s, *user, kUser);
  const auto pass = [&](kj::Duration duration) {
    for (int i = 0; i < 10; ++i) {
      s.timer.advanceTo(s.timer.now() + duration / 10);
      s.loop.within(kj::evalLater([] {}));
    }
  };
  pass(40 * kj::SECONDS);
  EXPECT_EQ(s.service.uploads_open(), 1u);
  pass(60 * kj::SECONDS);
  EXPECT_EQ(s.service.uploads_open(), 0u);
  EXPECT_EQ(files_in(s.incoming()), 0u);
  auto answer = s.loop.within(upload.finishRequest().send());
  ASSERT_TRUE(answer.isRefusal());
  EXPECT_EQ(answer.getRefusal().getReason(), schema::Refusal::Reason::OVERLOADED);
  EXPECT_EQ(s.store->usage().reserved, 0u);
}

TEST(BlobServiceTest, ForgetsTheUploadOfAClientThatHangsUp) {
  ServedStore s;
  auto user = s.connect(kUser);
  schema::Upload::Client upload = begin_upload(s, *user, kUser);
  EXPECT_EQ(files_in(s.incoming()), 1u);
  DirectoryEvents dropped(s.loop.io.unixEventPort, s.incoming());
  upload = nullptr;
  user = nullptr;
  while (s.service.uploads_open() > 0) s.loop.within(dropped.next());
  EXPECT_EQ(files_in(s.incoming()), 0u);
  EXPECT_EQ(s.store->usage().reserved, 0u);
  EXPECT_EQ(s.store->usage().blobs, 0u);
}

TEST(BlobServiceTest, LetsTheReaderFindDamage) {
  ServedStore s;
  const auto user = s.connect(kUser);
  std::string bytes = some_bytes(10'000, 1);
  const Blob blob =
      put_whole(s.loop, *user, s.home.ticket(Ticket::Right::kWrite, kUser), bytes).value();
  bytes[5000] = static_cast<char>(bytes[5000] ^ 4);
  spill(s.home.blob_path(blob.hash), bytes);
  const std::string read = s.home.ticket(Ticket::Right::kRead, kUser, blob.hash);
  const Result<std::string> got = get_whole(s.loop, *user, read, blob);
  ASSERT_FALSE(got.ok());
  EXPECT_NE(got.refusal().message.find("damaged"), std::string::npos);
}

capnp::Data::Reader data_of(const std::string& text) {
  return {reinterpret_cast<const kj::byte*>(text.data()), text.size()};
}

// What `peer` is told when it says that `files` are a whole spool; empty if it is believed.
std::string keep(Loop& loop, StoreClient& client, const std::string& ticket,
                 const std::vector<std::pair<std::string, std::uint64_t>>& files) {
  auto request = client.store().keepOutputsRequest();
  request.setTicket(data_of(ticket));
  auto list = request.initFiles(static_cast<kj::uint>(files.size()));
  for (kj::uint i = 0; i < list.size(); ++i) {
    list[i].setName(files[i].first.c_str());
    list[i].setLength(files[i].second);
  }
  const auto answer = loop.within(request.send());
  return answer.isRefusal() ? answer.getRefusal().getMessage().cStr() : "";
}

TEST(BlobServiceTest, TakesASpoolOnlyFromItsNode) {
  ServedStore s;
  const auto agent = s.connect(kAgent);
  const auto user = s.connect(kUser);
  const std::string good = s.home.job_ticket(JobId{}, Ticket::Right::kWrite, kAgent);
  const auto put = [&](StoreClient& client, const std::string& ticket, const std::string& name) {
    return s.loop.within(put_output(client.store(), ticket, name, 3, memory_source("abc")));
  };
  EXPECT_TRUE(put(*agent, good, "slot-0.0.out").ok());
  EXPECT_FALSE(put(*agent, s.home.ticket(Ticket::Right::kWrite, kAgent), "slot-0.1.out").ok());
  EXPECT_FALSE(
      put(*agent, s.home.job_ticket(JobId{}, Ticket::Right::kRead, kAgent), "slot-0.1.out").ok());
  const std::string of_user = s.home.job_ticket(JobId{}, Ticket::Right::kWrite, kUser);
  EXPECT_FALSE(put(*user, of_user, "slot-0.1.out").ok());
  for (const char* name : {"../x", "slot-0.0.exe", "slot-00.1.out", "", "index.log2",
                           "slot--1.0.out", "slot-70000.0.out"})
    EXPECT_FALSE(put(*agent, good, name).ok()) << name;
  EXPECT_NE(keep(s.loop, *agent, good, {{"slot-0.0.out", 4}}), "");
  EXPECT_NE(keep(s.loop, *agent, good, {}), "");
  EXPECT_EQ(keep(s.loop, *agent, good, {{"slot-0.0.out", 3}}), "");
  EXPECT_EQ(files_in(s.home.home / "outputs"), 1u);
  EXPECT_TRUE(std::filesystem::exists(s.home.home / "outputs/3-7/slot-0.0.out"));
}

TEST(BlobServiceTest, HearsOnlyFromTheHeadWhatIsNeeded) {
  ServedStore s;
  const auto user = s.connect(kUser);
  const std::string write = s.home.ticket(Ticket::Right::kWrite, kUser, {}, {}, 24 * 3600, JobId{});
  const Blob blob = put_whole(s.loop, *user, write, "an input").value();
  s.clock.seconds += 7200;
  const auto needs = [&](StoreClient& client, std::optional<Hash> hash, bool last) {
    auto request = client.store().keepInputsRequest();
    if (hash)
      request.initHashes(1).set(0, {reinterpret_cast<const kj::byte*>(hash->data()), hash->size()});
    request.setLast(last);
    request.setOlderThanS(3600);
    return s.loop.within(request.send().then([](auto&& answer) { return answer.getDeleted(); }));
  };
  EXPECT_THROW(needs(*user, std::nullopt, true), kj::Exception);
  const auto head = s.connect({Peer::Kind::kHead, {}, 0});
  EXPECT_EQ(needs(*head, blob.hash, false), 0u);
  EXPECT_EQ(needs(*head, std::nullopt, true), 0u);
  EXPECT_TRUE(s.loop.within(has_blob(user->store(), write, blob.hash)).value());
  s.clock.seconds += 7200;
  EXPECT_EQ(needs(*head, std::nullopt, true), 1u);
  EXPECT_FALSE(s.loop.within(has_blob(user->store(), write, blob.hash)).value());
}

TEST(BlobServiceTest, TurnsStrangersAway) {
  ServedStore s;
  auto garbage = s.loop.dial(s.listener->port());
  const std::string noise = some_bytes(100'000, 1);
  auto sent = garbage->write(noise.data(), noise.size()).catch_([](kj::Exception&&) {});
  // A TLS alert may come first.
  while (!s.loop.within(s.loop.closed_silently(*garbage))) {
  }
  EXPECT_EQ(s.listener->counts().refused, 1u);

  // A store has no business with a store; another cluster's agent is nobody.
  StoreClient twin(s.loop, s.home, s.address(), {Peer::Kind::kStore, {}, 0});
  s.loop.within(twin.lost());
  StoreHome elsewhere;
  EXPECT_ANY_THROW({
    StoreClient foreign(s.loop, elsewhere, s.address(), kAgent);
    s.loop.within(foreign.store().usageRequest().send());
  });
  const auto user = s.connect(kUser);
  EXPECT_TRUE(
      put_whole(s.loop, *user, s.home.ticket(Ticket::Right::kWrite, kUser), "still here").ok());
}

}  // namespace
}  // namespace leat::blobs
