#include "node-agent/evacuation.h"

#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "schema/data.capnp.h"
#include "transport/blob_client.h"
#include "transport/wire_refusal.h"

namespace leat::agent {
namespace {

constexpr kj::Duration kFirstWait = 250 * kj::MILLISECONDS;
constexpr kj::Duration kLastWait = 5 * kj::SECONDS;
constexpr const char* kIndexName = "index.log";

capnp::Data::Reader data_of(const std::string& text) {
  return kj::arrayPtr(reinterpret_cast<const kj::byte*>(text.data()), text.size());
}

}  // namespace

kj::Promise<Result<std::uint64_t>> Evacuation::run(std::string ticket, Patience patience,
                                                   BroughtSoFar tell) {
  return try_until(std::make_shared<Order>(
      Order{std::move(ticket), PatienceLeft(timer_.now(), patience), std::move(tell), kFirstWait}));
}

// Resolves when the patience is over, which every step forward prolongs.
kj::Promise<Result<std::uint64_t>> Evacuation::run_out(const OrderPtr& order) {
  const kj::TimePoint ends = order->left.ends();
  if (timer_.now() >= ends)
    return Result<std::uint64_t>(Refusal{Reason::kDisconnected, "leat-store takes no more"});
  return timer_.atTime(ends).then([this, order]() { return run_out(order); });
}

void Evacuation::note(Order& order, std::uint64_t of_next) {
  std::uint64_t bytes = of_next;
  for (std::size_t n = 0; n < order.next; ++n) bytes += order.files[n].length;
  if (order.left.brought(bytes, timer_.now()) && order.tell) order.tell(bytes);
}

kj::Promise<Result<std::uint64_t>> Evacuation::try_until(const OrderPtr& order) {
  return try_once(order)
      .catch_([](kj::Exception&& e) -> Result<std::uint64_t> {
        return Refusal{Reason::kDisconnected,
                       std::string("leat-store: ") + e.getDescription().cStr()};
      })
      .exclusiveJoin(run_out(order))
      .then([this, order](Result<std::uint64_t> done) -> kj::Promise<Result<std::uint64_t>> {
        const bool again = !done.ok() && (done.refusal().reason == Reason::kDisconnected ||
                                          done.refusal().reason == Reason::kOverloaded);
        if (!again || timer_.now() + order->wait >= order->left.ends()) return done;
        const kj::Duration wait = order->wait;
        order->wait = std::min(2 * wait, kLastWait);
        return timer_.afterDelay(wait).then([this, order]() { return try_until(order); });
      });
}

Result<std::vector<Evacuation::File>> Evacuation::list_files() {
  spool::SpoolIndex& index = outputs_.index();
  if (Result<Done> written = index.write(); !written.ok()) return written.refusal();
  std::vector<File> files;
  if (index.empty()) return files;
  for (const auto& [file, length] : index.files())
    files.push_back({spool::file_name(file), length});
  struct stat info {};
  const std::string path = directory_ + "/" + kIndexName;
  if (::stat(path.c_str(), &info) != 0)
    return invalid(path + ": cannot be examined: " + std::strerror(errno));
  files.push_back({kIndexName, static_cast<std::uint64_t>(info.st_size)});
  return files;
}

kj::Promise<Result<std::uint64_t>> Evacuation::try_once(const OrderPtr& order) {
  Result<std::vector<File>> files = list_files();
  if (!files.ok()) return Result<std::uint64_t>(files.refusal());
  order->files = std::move(files).value();
  order->next = 0;
  if (order->files.empty()) return Result<std::uint64_t>(std::uint64_t{0});
  if (order->ticket.empty())
    return Result<std::uint64_t>(invalid("no head has given the right to bring them"));
  return links_.get(store_.address, store_.server_name)
      .then([this, order](capnp::Capability::Client peer) {
        auto store = peer.castAs<schema::BlobServer>();
        auto request = store.outputsRequest();
        request.setTicket(data_of(order->ticket));
        return request.send().then([this, order, store](auto&& response) mutable {
          auto there = std::make_shared<std::vector<File>>();
          for (const auto file : response.getFiles())
            there->push_back({file.getName().cStr(), file.getLength()});
          return send_all(order, kj::mv(store), std::move(there));
        });
      })
      .then([order](const Result<Done>& done) -> Result<std::uint64_t> {
        if (!done.ok()) return done.refusal();
        std::uint64_t bytes = 0;
        for (const File& file : order->files) bytes += file.length;
        return bytes;
      });
}

// One file after the other, and at the end the word that these were all.
kj::Promise<Result<Done>> Evacuation::send_all(const OrderPtr& order,
                                               schema::BlobServer::Client store,
                                               std::shared_ptr<std::vector<File>> there) {
  const auto is_there = [&there](const File& file) {
    return std::any_of(there->begin(), there->end(), [&file](const File& other) {
      // The index grows in its middle when it is written anew: it is always brought again.
      return other.name == file.name && other.length == file.length && file.name != kIndexName;
    });
  };
  while (order->next < order->files.size() && is_there(order->files[order->next])) ++order->next;
  if (order->next < order->files.size())
    return send_one(order, store)
        .then([this, order, store, there](Result<Done> done) mutable -> kj::Promise<Result<Done>> {
          if (!done.ok()) return done;
          ++order->next;
          return send_all(order, kj::mv(store), std::move(there));
        });
  auto request = store.keepOutputsRequest();
  request.setTicket(data_of(order->ticket));
  auto files = request.initFiles(static_cast<kj::uint>(order->files.size()));
  for (kj::uint i = 0; i < files.size(); ++i) {
    files[i].setName(order->files[i].name.c_str());
    files[i].setLength(order->files[i].length);
  }
  return request.send().then([](auto&& response) -> Result<Done> {
    const schema::KeepResult::Reader result = response;
    if (result.isRefusal()) return transport::read_refusal(result.getRefusal());
    return Done{};
  });
}

kj::Promise<Result<Done>> Evacuation::send_one(const OrderPtr& order,
                                               schema::BlobServer::Client store) {
  const File& file = order->files[order->next];
  const std::string path = directory_ + "/" + file.name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  // One that was deleted meanwhile, to keep the spool within its bounds, is not in the next list.
  if (fd < 0)
    return Result<Done>(Refusal{errno == ENOENT ? Reason::kOverloaded : Reason::kInvalid,
                                path + ": cannot be opened: " + std::strerror(errno)});
  kj::AutoCloseFd owned(fd);
  // Whoever asks for more has got rid of what there was.
  const auto counted = [this, order, bytes = transport::file_source(fd, 0, file.length),
                        given = std::make_shared<std::uint64_t>(0)](
                           kj::ArrayPtr<kj::byte> buffer) -> kj::Promise<std::size_t> {
    note(*order, *given);
    return bytes(buffer).then([given](std::size_t read) {
      *given += read;
      return read;
    });
  };
  return transport::put_output(kj::mv(store), order->ticket, file.name, file.length, counted)
      .then([](const Result<transport::Blob>& blob) -> Result<Done> {
        if (!blob.ok()) return blob.refusal();
        return Done{};
      })
      .attach(kj::mv(owned));
}

}  // namespace leat::agent
