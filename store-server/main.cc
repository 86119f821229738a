// main.cc - leat-store: builds the parts, says that it is ready, serves until SIGTERM.

#include <getopt.h>
#include <kj/async-unix.h>
#include <kj/compat/tls.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "store-server/blob_service.h"
#include "store-server/blob_store.h"
#include "store-server/connections.h"
#include "store-server/daemon_files.h"
#include "store-server/output_store.h"
#include "store-server/sync_thread.h"
#include "transport/authority.h"
#include "transport/listener.h"
#include "transport/secret_file.h"
#include "transport/tls.h"

namespace leat::blobs {
namespace {

constexpr std::uint64_t kQuotaDefault = std::uint64_t{64} << 30;
constexpr int kExitBadInput = 2;
constexpr int kExitRefused = 4;

constexpr char kUsage[] =
    "usage: leat-store --home HOME [--bind 127.0.0.1:0] [--quota BYTES] [--ready-fd N]\n"
    "Keeps the blobs of the cluster in HOME/blobs, and what nodes that are gone have left in\n"
    "HOME/outputs, and serves them over mutual TLS. Without --quota, HOME/store.quota says how\n"
    "many bytes that may be (64 GiB if there is none).\n"
    "The head starts it; it lives on without the head and ends on SIGTERM.\n"
    "Example: leat-store --home /var/tmp/leat-1000 --quota 68719476736\n";

struct Options {
  std::string home;
  std::string bind = "127.0.0.1:0";
  std::optional<std::uint64_t> quota;
  int ready_fd = -1;
};

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), out);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
}

Result<Options> read_options(int argc, char** argv) {
  static constexpr struct option kOptions[] = {{"home", required_argument, nullptr, 'h'},
                                               {"bind", required_argument, nullptr, 'b'},
                                               {"quota", required_argument, nullptr, 'q'},
                                               {"ready-fd", required_argument, nullptr, 'r'},
                                               {nullptr, 0, nullptr, 0}};
  Options options;
  opterr = 0;
  for (int key; (key = getopt_long(argc, argv, "", kOptions, nullptr)) != -1;) {
    switch (key) {
      case 'h':
        options.home = optarg;
        break;
      case 'b':
        options.bind = optarg;
        break;
      case 'q':
        options.quota = 0;
        if (!read_number(optarg, *options.quota)) return invalid("--quota is a number of bytes");
        break;
      case 'r':
        if (!read_number(optarg, options.ready_fd) || options.ready_fd < 3)
          return invalid("--ready-fd is the number of an inherited descriptor, 3 or more");
        break;
      default:
        return invalid(std::string("unknown or incomplete option ") + argv[optind - 1]);
    }
  }
  if (optind < argc) return invalid(std::string("unexpected argument ") + argv[optind]);
  if (options.home.empty()) return invalid("--home is missing");
  return options;
}

// One line to whoever started us, and the end of the pipe.
void tell(int ready_fd, const std::string& line) {
  if (ready_fd < 0) return;
  const std::string text = line + "\n";
  (void)!::write(ready_fd, text.data(), text.size());
  ::close(ready_fd);
}

int refuse(int ready_fd, const Refusal& refusal) {
  std::fprintf(stderr, "leat-store: %s\n", refusal.message.c_str());
  tell(ready_fd, "leat-store: " + refusal.message);
  return refusal.reason == Reason::kConflict ? kExitRefused : kExitBadInput;
}

// Out of the head's session and terminal, closed to debuggers, with room for many descriptors.
void settle_in() {
  ::setsid();
  ::umask(077);
  ::prctl(PR_SET_DUMPABLE, 0);
  struct rlimit files {};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

Result<transport::TicketVerifier> load_verifier(const std::string& home) {
  const Result<std::string> bytes = transport::read_secret_file(home + "/tls/ticket.pub");
  if (!bytes.ok()) return bytes.refusal();
  transport::PublicKey key;
  if (bytes.value().size() != key.size())
    return invalid(home + "/tls/ticket.pub does not hold 32 bytes");
  std::memcpy(key.data(), bytes.value().data(), key.size());
  return transport::TicketVerifier(key);
}

std::string host_of(const std::string& address) {
  return address.substr(0, address.rfind(':'));
}

// With port 0, the port of the store's earlier life if it is free.
Result<kj::Own<transport::TlsListener>> listen(const Options& options, kj::AsyncIoProvider& io,
                                               kj::TlsContext& context,
                                               const transport::OnPeer& on_peer) {
  kj::Timer& timer = io.getTimer();
  kj::Network& network = io.getNetwork();
  const transport::OnComplaint complain = [](std::string_view line) {
    std::fprintf(stderr, "leat-store: %.*s\n", static_cast<int>(line.size()), line.data());
  };
  const std::string host = host_of(options.bind);
  const std::optional<std::uint16_t> earlier = earlier_port(options.home, host);
  if (options.bind == host + ":0" && earlier.has_value()) {
    auto listener = transport::TlsListener::open(
        network, timer, host + ":" + std::to_string(*earlier), context, on_peer, complain);
    if (listener.ok()) return listener;
  }
  return transport::TlsListener::open(network, timer, options.bind, context, on_peer, complain);
}

Result<Done> serve(const Options& options) {
  const Result<Done> home = transport::ensure_private_directory(options.home);
  if (!home.ok()) return home;
  const Result<kj::AutoCloseFd> lock = lock_home(options.home);
  if (!lock.ok()) return lock.refusal();
  const Result<transport::Credentials> credentials =
      transport::load_credentials(options.home + "/tls/store");
  if (!credentials.ok()) return credentials.refusal();
  const Result<transport::TicketVerifier> verifier = load_verifier(options.home);
  if (!verifier.ok()) return verifier.refusal();
  const std::uint64_t quota =
      options.quota ? *options.quota : quota_of(options.home).value_or(kQuotaDefault);
  Result<std::unique_ptr<BlobStore>> opened = BlobStore::open(options.home + "/blobs", quota);
  if (!opened.ok()) return opened.refusal();
  const std::unique_ptr<BlobStore> store = std::move(opened).value();
  Result<std::unique_ptr<OutputStore>> outputs_opened =
      OutputStore::open(options.home + "/outputs", store->room());
  if (!outputs_opened.ok()) return outputs_opened.refusal();
  const std::unique_ptr<OutputStore> outputs = std::move(outputs_opened).value();

  kj::UnixEventPort::captureSignal(SIGTERM);
  kj::UnixEventPort::captureSignal(SIGINT);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::Promise<void> stop = io.unixEventPort.onSignal(SIGTERM)
                               .exclusiveJoin(io.unixEventPort.onSignal(SIGINT))
                               .ignoreResult();
  kj::Own<kj::TlsContext> context =
      transport::make_context(credentials.value(), io.provider->getTimer());
  SyncThread sync_thread(*store, io.unixEventPort);
  ServiceLimits limits;
  if (!options.quota) limits.quota_now = [&options]() { return quota_of(options.home); };
  BlobService service({*store, *outputs, sync_thread}, verifier.value(), io.provider->getTimer(),
                      kj::systemPreciseCalendarClock(), limits);
  Connections connections(service);
  auto listener = listen(options, *io.provider, *context,
                         [&connections](transport::Peer peer, kj::Own<kj::AsyncIoStream> stream) {
                           connections.accept(peer, kj::mv(stream));
                         });
  if (!listener.ok()) return listener.refusal();
  const std::string address =
      host_of(options.bind) + ":" + std::to_string(listener.value()->port());
  const Result<Done> announced = announce(options.home, address);
  if (!announced.ok()) return announced;
  std::fprintf(stderr, "leat-store: serving %s on %s\n", options.home.c_str(), address.c_str());
  tell(options.ready_fd, "ready");

  stop.wait(io.waitScope);
  std::fprintf(stderr, "leat-store: stopped by a signal\n");
  retire(options.home);
  return Done{};
}

int run(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(kUsage, stdout);
    return 0;
  }
  const Result<Options> options = read_options(argc, argv);
  if (!options.ok()) return refuse(-1, options.refusal());
  const int ready_fd = options.value().ready_fd;
  settle_in();
  try {
    const Result<Done> served = serve(options.value());
    return served.ok() ? 0 : refuse(ready_fd, served.refusal());
  } catch (const kj::Exception& e) {
    return refuse(ready_fd, invalid(e.getDescription().cStr()));
  }
}

}  // namespace
}  // namespace leat::blobs

int main(int argc, char** argv) {
  return leat::blobs::run(argc, argv);
}
