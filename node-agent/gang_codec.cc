#include "node-agent/gang_codec.h"

#include <string>
#include <utility>

#include "node-agent/agent_codec.h"

namespace leat::agent {
namespace {

std::string string_of(capnp::Text::Reader in) {
  return {in.begin(), in.size()};
}

}  // namespace

Result<GangSpec> read_gang_spec(schema::GangSpec::Reader in) {
  if (in.getLaunch() > schema::GangSpec::Launch::APPLICATION ||
      in.getBind() > schema::GangSpec::Bind::NONE ||
      in.getBindTo() > schema::GangSpec::BindTo::SOCKET)
    return invalid("a gang that is started in a way not known here");
  GangSpec spec;
  spec.launch = static_cast<GangSpec::Launch>(in.getLaunch());
  for (const std::uint32_t ranks : in.getRanksPerNode()) {
    if (ranks == 0) return invalid("a node of a gang without ranks");
    spec.ranks_per_node.push_back(ranks);
  }
  spec.cores_per_rank = in.getCoresPerRank();
  spec.bind = static_cast<GangSpec::Bind>(in.getBind());
  spec.bind_to = static_cast<GangSpec::BindTo>(in.getBindTo());
  for (const auto word : in.getCoordination()) {
    spec.coordination.push_back(string_of(word));
    if (spec.coordination.back().find('\0') != std::string::npos)
      return invalid("an argument of the coordination command holds a NUL");
  }
  spec.interfaces = string_of(in.getInterfaces());
  return spec;
}

void write_gang_spec(const GangSpec& spec, schema::GangSpec::Builder out) {
  out.setLaunch(static_cast<schema::GangSpec::Launch>(spec.launch));
  auto ranks = out.initRanksPerNode(count_of(spec.ranks_per_node.size()));
  for (kj::uint i = 0; i < ranks.size(); ++i) ranks.set(i, spec.ranks_per_node[i]);
  out.setCoresPerRank(spec.cores_per_rank);
  out.setBind(static_cast<schema::GangSpec::Bind>(spec.bind));
  out.setBindTo(static_cast<schema::GangSpec::BindTo>(spec.bind_to));
  auto words = out.initCoordination(count_of(spec.coordination.size()));
  for (kj::uint i = 0; i < words.size(); ++i) words.set(i, spec.coordination[i]);
  out.setInterfaces(spec.interfaces);
}

Result<GangStart> read_gang_start(schema::GangStart::Reader in) {
  GangStart start;
  start.member = in.getMember();
  for (const auto node : in.getNodes())
    start.nodes.push_back({{NodeId{node.getNode().getId()}, NodeEpoch{node.getNode().getEpoch()}},
                           string_of(node.getHostName())});
  if (start.member >= start.nodes.size()) return invalid("a gang's member that is none");
  if (in.hasHub()) start.hub = read_hub(in.getHub());
  start.interfaces = string_of(in.getInterfaces());
  return start;
}

void write_gang_start(const GangStart& start, schema::GangStart::Builder out) {
  out.setMember(start.member);
  auto nodes = out.initNodes(count_of(start.nodes.size()));
  for (kj::uint i = 0; i < nodes.size(); ++i) {
    write_node(start.nodes[i].node, nodes[i].initNode());
    nodes[i].setHostName(start.nodes[i].host_name);
  }
  if (start.hub) write_hub(*start.hub, out.initHub());
  out.setInterfaces(start.interfaces);
}

GangHub read_hub(schema::GangHub::Reader in) {
  return {string_of(in.getAddress()), string_of(in.getAuthorityPem()),
          string_of(in.getCertificatePem()), string_of(in.getKeyPem())};
}

void write_hub(const GangHub& hub, schema::GangHub::Builder out) {
  out.setAddress(hub.address);
  out.setAuthorityPem(hub.authority_pem);
  out.setCertificatePem(hub.certificate_pem);
  out.setKeyPem(hub.key_pem);
}

}  // namespace leat::agent
