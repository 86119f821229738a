// main.cc - leat-rsh: a command on another node of the gang, called like ssh.
//
// leat-rsh [OPTIONS] HOST COMMAND…
//
// Exit codes: the command's, 128 and the signal that ended it, 255 if it could not be run.

#include <kj/async-io.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mpi-tasks/gang_link.h"
#include "mpi-tasks/message.h"
#include "transport/listener.h"

namespace leat::mpi {
namespace {

using Type = Message::Type;

constexpr int kExitNoSsh = 255;
constexpr int kSignalBase = 128;
constexpr std::string_view kUsage =
    "usage: leat-rsh [OPTIONS] HOST COMMAND...\n"
    "Runs a command on another node of the gang, as ssh would: its words are joined with blanks\n"
    "and given to a shell there. For programs of a gang that bring a launcher of their own; Open\n"
    "MPI's mpirun finds it by itself. Standard input is not passed on.\n"
    "OPTIONS: -n, -q, -T, -x and -o SETTING are taken, as ssh's, and mean nothing.\n"
    "Example: leat-rsh node-2 hostname\n";

[[noreturn]] void refuse(const std::string& why) {
  std::fprintf(stderr, "leat-rsh: %s\n", why.c_str());
  std::exit(kExitNoSsh);
}

// What is asked, but for the token.
Message parse(int count, char** values) {
  int at = 1;
  for (; at < count && values[at][0] == '-'; ++at) {
    const std::string_view option = values[at];
    if (option == "--help") {
      std::fputs(kUsage.data(), stdout);
      std::exit(0);
    }
    constexpr std::array<std::string_view, 4> kIgnored{"-n", "-q", "-T", "-x"};
    bool known = option == "-o" && ++at < count;
    for (const std::string_view ignored : kIgnored) known = known || option == ignored;
    if (!known) refuse("unknown option '" + std::string(option) + "' (--help shows the usage)");
  }
  if (at + 1 >= count) refuse("HOST COMMAND... is missing (--help shows the usage)");
  Message request;
  request.type = Type::kExecute;
  request.keys = {"", values[at]};
  for (++at; at < count; ++at)
    request.text += (request.text.empty() ? "" : " ") + std::string(values[at]);
  return request;
}

std::string variable(const std::string& name) {
  for (char** at = environ; *at != nullptr; ++at)
    if (std::string_view(*at).starts_with(name + "=")) return *at + name.size() + 1;
  refuse(name + " is not set: this is no program of a gang");
}

// False if nobody reads any more.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

struct End {
  int code = kExitNoSsh;
  std::string why = "the launcher of this node is gone";
};

void take(const Message& message, GangLink& link, End& end) {
  if (message.type == Type::kExecuted) {
    end = {message.signalled ? kSignalBase + message.status : message.status, message.text};
    return link.close();
  }
  if (message.type != Type::kOutput) return;
  if (!write_all(message.flag ? STDERR_FILENO : STDOUT_FILENO, message.bytes)) {
    end = {kExitNoSsh, ""};
    return link.close();
  }
  Message more;
  more.type = Type::kMore;
  more.status = static_cast<std::int32_t>(message.bytes.size());
  link.send(more);
}

int run(int count, char** values) {
  Message request = parse(count, values);
  const std::string socket = variable("LEAT_RSH_SOCKET");
  request.keys[0] = variable("LEAT_RSH_TOKEN");
  if (socket.size() > transport::kSocketPathMax) refuse("LEAT_RSH_SOCKET: too long for a socket");
  kj::AsyncIoContext io = kj::setupAsyncIo();
  End end;
  KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&] {
                 GangLink link(transport::connect_local(io.provider->getNetwork(), socket)
                                   .wait(io.waitScope));
                 link.send(request);
                 link.run([&](const Message& message) { take(message, link, end); })
                     .wait(io.waitScope);
               })) {
    (void)failure;
    refuse("the launcher of this node cannot be reached at " + socket);
  }
  if (!end.why.empty()) std::fprintf(stderr, "leat-rsh: %s\n", end.why.c_str());
  return end.code;
}

}  // namespace
}  // namespace leat::mpi

int main(int count, char** values) {
  return leat::mpi::run(count, values);
}
