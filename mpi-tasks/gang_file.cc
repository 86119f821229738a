#include "mpi-tasks/gang_file.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "mpi-tasks/rank_process.h"
#include "mpi-tasks/wire_text.h"
#include "schema/gang.capnp.h"
#include "transport/secret_file.h"

namespace leat::mpi {
namespace {

static_assert(static_cast<int>(MpiMode::kPmi1) == static_cast<int>(schema::MpiMode::PMI1));

constexpr std::size_t kNamespaceMax = 200;
constexpr std::size_t kArgumentsMax = 65'536;
constexpr std::size_t kArgumentBytesMax = 2u << 20;
constexpr std::uint32_t kGraceMsMax = 3'600'000;
constexpr std::size_t kInterfacesMax = 1024;
// PMIx puts its files below, and some of their names are long.
constexpr std::size_t kPrivateDirectoryMax = 512;

Duration milliseconds(std::uint32_t value) {
  return std::chrono::milliseconds(value);
}

Result<std::vector<std::string>> strings_of(capnp::List<capnp::Text>::Reader list,
                                            const char* what) {
  std::vector<std::string> strings;
  std::size_t bytes = 0;
  for (const capnp::Text::Reader text : list) {
    strings.push_back(string_of(text));
    bytes += text.size() + 1;
    if (strings.back().find('\0') != std::string::npos)
      return invalid(std::string(what) + ": a zero byte in a word");
  }
  if (strings.size() > kArgumentsMax || bytes > kArgumentBytesMax)
    return invalid(std::string(what) + ": too long for a process");
  return strings;
}

Result<Layout> layout_of(schema::GangFile::Reader file) {
  const auto list = file.getNodes();
  if (list.size() > schema::MAX_GANG_NODES)
    return invalid("nodes: " + std::to_string(list.size()) + ", at most " +
                   std::to_string(schema::MAX_GANG_NODES));
  std::vector<GangNode> nodes;
  std::size_t ranks = 0;
  for (const schema::GangNode::Reader node : list) {
    ranks += node.getRanks().size();
    if (ranks > schema::MAX_GANG_RANKS)
      return invalid("nodes: more than " + std::to_string(schema::MAX_GANG_RANKS) + " ranks");
    nodes.push_back({string_of(node.getName()), {}});
    for (const Rank rank : node.getRanks()) nodes.back().ranks.push_back(rank);
  }
  return Layout::make(std::move(nodes));
}

Result<Done> read_cpus(schema::GangFile::Reader file, GangSpec& spec) {
  const auto lists = file.getCpus();
  if (lists.size() != 0 && lists.size() != spec.here().ranks.size())
    return invalid("cpus: " + std::to_string(lists.size()) + " lists for " +
                   std::to_string(spec.here().ranks.size()) + " ranks");
  for (const capnp::List<std::uint16_t>::Reader list : lists) {
    spec.cpus.emplace_back();
    for (const std::uint16_t cpu : list) {
      if (cpu >= kCpusMax) return invalid("cpus: there is no CPU " + std::to_string(cpu));
      spec.cpus.back().push_back(cpu);
    }
  }
  spec.cpus.resize(spec.here().ranks.size());
  return Done{};
}

Result<Done> read_words(schema::GangFile::Reader file, GangSpec& spec) {
  Result<std::vector<std::string>> program = strings_of(file.getProgram(), "program");
  if (!program.ok()) return program.refusal();
  spec.program = std::move(program).value();
  if (spec.program.empty() || spec.program.front().empty()) return invalid("program: none");
  Result<std::vector<std::string>> coordination =
      strings_of(file.getCoordination(), "coordination");
  if (!coordination.ok()) return coordination.refusal();
  spec.coordination = std::move(coordination).value();
  if (!spec.coordination.empty() && spec.coordination.front().empty())
    return invalid("coordination: a program without a name");
  Result<std::vector<std::string>> environment = strings_of(file.getEnvironment(), "environment");
  if (!environment.ok()) return environment.refusal();
  spec.environment = std::move(environment).value();
  for (const std::string& variable : spec.environment)
    if (variable.find('=') == 0 || variable.find('=') == std::string::npos)
      return invalid("environment: '" + variable + "' is not NAME=value");
  spec.directory = string_of(file.getDirectory());
  if (!spec.directory.starts_with('/')) return invalid("directory: must be absolute");
  spec.private_directory = string_of(file.getPrivateDirectory());
  if (!spec.private_directory.starts_with('/') || spec.private_directory.ends_with('/') ||
      spec.private_directory.size() > kPrivateDirectoryMax)
    return invalid("privateDirectory: must be an absolute path of at most " +
                   std::to_string(kPrivateDirectoryMax) + " bytes");
  spec.topology = string_of(file.getTopology());
  if (!spec.topology.empty() && !spec.topology.starts_with('/'))
    return invalid("topology: must be absolute");
  spec.interfaces = string_of(file.getInterfaces());
  if (spec.interfaces.size() > kInterfacesMax) return invalid("interfaces: too long");
  return Done{};
}

// What only a gang of several nodes needs.
Result<Done> read_connections(schema::GangFile::Reader file, GangSpec& spec) {
  if (spec.layout.node_count() == 1) return Done{};
  spec.hub_address = string_of(file.getHubAddress());
  spec.listen_fd = file.getListenFd();
  spec.listen_address = string_of(file.getListenAddress());
  spec.star_nodes = file.getStarNodes();
  spec.tree_width = file.getTreeWidth();
  if (spec.tree_width > schema::MAX_GANG_NODES)
    return invalid("treeWidth: at most " + std::to_string(schema::MAX_GANG_NODES));
  if (spec.is_hub() && spec.listen_fd < 3 && spec.listen_address.empty())
    return invalid("listenFd, listenAddress: the hub needs one of them");
  if (!spec.is_hub() && spec.hub_address.find(':') == std::string::npos)
    return invalid("hubAddress: must be HOST:PORT");
  spec.credentials = {string_of(file.getCertificatePem()), string_of(file.getKeyPem()),
                      string_of(file.getAuthorityPem())};
  const Result<Done> sound = transport::check_credentials(spec.credentials);
  if (!sound.ok()) return invalid("credentials: " + sound.refusal().message);
  return Done{};
}

Result<GangSpec> read(schema::GangFile::Reader file) {
  if (file.getVersion() != schema::GANG_VERSION)
    return invalid("version " + std::to_string(file.getVersion()) + ", this launcher reads " +
                   std::to_string(schema::GANG_VERSION));
  Result<Layout> layout = layout_of(file);
  if (!layout.ok()) return invalid("nodes: " + layout.refusal().message);
  GangSpec spec{.layout = std::move(layout).value()};
  spec.nspace = string_of(file.getNamespace());
  if (spec.nspace.empty() || spec.nspace.size() > kNamespaceMax ||
      spec.nspace.find_first_not_of(kNameCharacters) != std::string::npos)
    return invalid("namespace: '" + spec.nspace + "' is no name for a gang");
  spec.attempt = file.getAttempt();
  spec.node = file.getNodeIndex();
  if (spec.node >= spec.layout.node_count())
    return invalid("nodeIndex: there is no node " + std::to_string(spec.node));
  spec.node_cpus = file.getNodeCpus();
  if (file.getGraceMs() > kGraceMsMax) return invalid("graceMs: more than an hour");
  spec.grace = milliseconds(file.getGraceMs());
  if (file.getMpi() > schema::MpiMode::PMI1)
    return invalid("mpi: a mode that this launcher does not know");
  spec.mpi = static_cast<MpiMode>(file.getMpi());
  spec.application = file.getApplication();
  spec.registered_limit = milliseconds(file.getRegisteredMs());
  spec.fence_limit = milliseconds(file.getFenceMs());
  spec.modex_limit = milliseconds(file.getModexMs());
  for (const auto step : {&read_cpus, &read_words, &read_connections})
    if (const Result<Done> done = step(file, spec); !done.ok()) return done.refusal();
  return spec;
}

}  // namespace

Result<GangSpec> parse_gang(std::span<const std::byte> bytes) {
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 4 * schema::MAX_GANG_FILE_BYTES / sizeof(capnp::word);
  kj::Array<capnp::word> words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.begin(), bytes.data(), words.size() * sizeof(capnp::word));
  Result<GangSpec> spec = invalid("");
  KJ_IF_MAYBE (failure, kj::runCatchingExceptions([&] {
                 capnp::FlatArrayMessageReader reader(words, options);
                 spec = read(reader.getRoot<schema::GangFile>());
               })) {
    const kj::StringPtr why = failure->getDescription();
    const std::string_view line(why.cStr(), why.size());
    return invalid("not a gang file: " + std::string(line.substr(0, line.find('\n'))));
  }
  return spec;
}

Result<GangSpec> read_gang_file(const std::string& path) {
  const Result<std::string> content =
      transport::read_secret_file(path, schema::MAX_GANG_FILE_BYTES);
  if (!content.ok()) return content.refusal();
  Result<GangSpec> spec = parse_gang(std::as_bytes(std::span(content.value())));
  if (!spec.ok()) return invalid(path + ": " + spec.refusal().message);
  return spec;
}

}  // namespace leat::mpi
