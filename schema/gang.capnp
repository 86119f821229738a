@0xe17c5a2f90b4d386;
# gang.capnp - a gang of MPI ranks: the file that starts a launcher, and what launchers say.
#
# One leat-mpi-launcher runs per gang and node. It is started with one GangFile (one Cap'n Proto
# message in a file of mode 0600, because it holds the gang's key). The launcher of node 0 is the
# hub; the others connect to it by mutual TLS and both sides then exchange GangMessages, one Cap'n
# Proto message after the other. In a gang of many nodes most are sent on from there to another
# launcher, and reach the hub through that. Fields are only ever added.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("leat::schema");

const gangVersion :UInt32 = 1;
const maxGangFileBytes :UInt32 = 16777216;
const maxGangNodes :UInt32 = 4096;
const maxGangRanks :UInt32 = 65536;

struct GangFile {
  # Everything one launcher needs to know. The same for all launchers of a gang but for nodeIndex,
  # listenFd, cpus, nodeCpus, privateDirectory and whatever paths differ between nodes.

  version @0 :UInt32;
  # gangVersion. A launcher refuses any other.

  namespace @1 :Text;
  # Names the gang's attempt, e.g. "leat-<cluster>-<job>-<task>-<attempt>": letters, digits, "-._",
  # at most 200. Never used twice: PMIx would hand out the earlier attempt's data.

  attempt @2 :UInt32;
  nodeIndex @3 :UInt32;
  # Whom this launcher serves: an index of nodes.

  nodes @4 :List(GangNode);
  # At most maxGangNodes. Names differ; every rank 0..n-1 stands on exactly one node.

  hubAddress @5 :Text;
  # "host:port" of node 0's launcher. Not needed with one node.

  listenFd @6 :Int32 = -1;
  # Node 0 with further nodes: the inherited descriptor of the socket that listens there.

  program @7 :List(Text);
  # Program and arguments. Searched in the ranks' PATH unless it contains a slash; then relative to
  # `directory`.

  environment @8 :List(Text);
  # "NAME=value", the user's. Wins over what the launcher sets, but not over what PMIx needs. The
  # launcher's own environment comes below both, without PMIX_*, PMI_*, OMPI_* and PRTE_*.

  directory @9 :Text;
  # Where ranks start. Absolute.

  cpus @10 :List(List(UInt16));
  # For each rank of this node, in order of nodes[nodeIndex].ranks, the CPUs it is bound to. An
  # empty list leaves that rank unbound; an empty list of lists all of them.

  nodeCpus @11 :UInt32;
  # CPUs that the gang has on this node. With more ranks than that they yield while they wait.

  graceMs @12 :UInt32 = 5000;
  # Between SIGTERM and SIGKILL.

  mpi @13 :MpiMode;

  interfaces @14 :Text;
  # Restricts Open MPI's TCP between nodes: "eth0,10.0.0.0/8"; empty: as Open MPI chooses.

  privateDirectory @15 :Text;
  # Absolute, does not exist yet, its parent does. Holds session files and the memory that ranks of
  # this node share, so it should be on a tmpfs. Removed by the launcher, and by whoever started it
  # should the launcher be killed.

  authorityPem @16 :Text;
  certificatePem @17 :Text;
  keyPem @18 :Text;
  # Of an authority that serves this gang alone: who shows one of its certificates is a launcher of
  # this gang. Certificates are those of agents (transport/identity.h). Not needed with one node.

  registeredMs @19 :UInt32 = 60000;
  # Within this all launchers have registered the gang, or it ends.

  fenceMs @20 :UInt32 = 0;
  # 0: no limit. A rank may compute for days while others wait for it in MPI_Finalize.

  modexMs @21 :UInt32 = 60000;
  # How long a rank waits for what another has not committed. 0: no limit.

  listenAddress @22 :Text;
  # Node 0 with further nodes, unless there is a listenFd: the "address:port" it listens at, which
  # whoever started it keeps from others by a socket of its own that is bound there and does not
  # listen (SO_REUSEPORT).

  coordination @23 :List(Text);
  # A program and its arguments that must end well on every node before `program` is started.

  application @24 :Bool;
  # `program` is started once, on node 0, and is no rank of anything. On every node it finds a
  # hostfile and leat-rsh, with which it starts what it likes on the gang's nodes.

  topology @25 :Text;
  # The path of an hwloc XML file about this machine, for launcher and ranks; empty: they look for
  # themselves, which takes longer than all else they do before MPI_Init.

  starNodes @26 :UInt32 = 64;
  # In a gang of no more nodes all launchers are connected to the hub; in a larger one they form a
  # tree. The same for all launchers of a gang.

  treeWidth @27 :UInt32 = 0;
  # How many are connected to each in a tree, at most 4096. 0: as few as will do for nobody to be
  # more than two connections away from the hub. The same for all launchers of a gang.
}

struct GangNode {
  name @0 :Text;
  # Distinct within the gang: letters, digits, "-._", at most 64. Also what PMIx calls the host.
  ranks @1 :List(UInt32);
  # Ascending, at least one.
}

enum MpiMode {
  automatic @0;   # a program that never calls MPI_Init is run, with a warning
  required @1;    # and is a failure
  pmi1 @2;        # ranks speak PMI-1 on a socket they inherit, as MPICH's do
}

struct GangMessage {
  # What launchers say to the hub and the hub to them. Which fields mean something depends on the
  # type; the list at each names them.

  type @0 :Type;
  enum Type {
    hello @0;          # up, first: text (namespace), node (who speaks), id (gangVersion); to the
                       # hub, of one to whom others connect: keys ("host:port" where it listens)
    registered @1;     # up: ranks may be started here
    connected @2;      # up: rank has called MPI_Init
    rankEnded @3;      # up: rank, status (exit code or signal), signalled, stage
    aborted @4;        # up: rank, status, text
    failed @5;         # up: status (exit code for the gang), text, signalled (it was told to end)
    collect @6;        # up: kind, ranks, id (sequence number), status, flag (collects), bytes
    publish @7;        # up: id, rank, entries (key, bytes), flag (gone after first read)
    lookup @8;         # up: id, keys, status (how many must be there before the answer; 0: none)
    unpublish @9;      # up: id, rank, keys (none: all of that rank)
    forget @10;        # up: id of a lookup that nobody waits for any more
    modexAsk @11;      # up and down: id, rank, node (who asks)
    modexTell @12;     # up and down: id, node (who asked), status, bytes
    start @13;         # down: all have registered
    collected @14;     # down: kind, ranks, id, status, bytes
    answer @15;        # down: id, status
    found @16;         # down: id, status, entries
    end @17;           # down: status (exit code of the gang), text (why; empty: all is well);
                       # flag: said by the launcher itself, which has lost the hub; signalled: a
                       # launcher was told to end
    coordinate @18;    # down: all have registered, run the coordination command first
    coordinated @19;   # up: it has ended well here
    ended @20;         # up: the application has ended: status, signalled
    # Of leat-rsh. Up, `node` is for whom; down, from whom. `id` is a number of who asks.
    execute @21;       # text (the command); from leat-rsh also keys (token, name of the node)
    output @22;        # id, flag (standard error), bytes
    more @23;          # id, status: so many bytes of output have been taken
    executed @24;      # id, status, signalled; text: why it could not be started
    hangUp @25;        # id: nobody waits for that command any more
    # Of a tree.
    attach @26;        # down: connect to node, which listens at text, and stay there
    attached @27;      # up: node has connected to who says this. Down, to that node, on the
                       # connection by which it first came: this one is not used any more
    lost @28;          # up: the connection of node to who says this is lost
  }

  node @1 :UInt32;
  rank @2 :UInt32;
  id @3 :UInt64;
  status @4 :Int32;
  signalled @5 :Bool;
  stage @6 :Stage;
  kind @7 :Kind;
  flag @8 :Bool;
  ranks @9 :List(UInt32);
  # Who takes part, ascending; empty: everybody.
  text @10 :Text;
  bytes @11 :Data;
  keys @12 :List(Text);
  entries @13 :List(Entry);

  enum Stage { started @0; connected @1; finalized @2; }
  enum Kind { fence @0; connect @1; disconnect @2; barrier @3; }
  # barrier: of PMI-1, with "key=value" lines for bytes
  struct Entry { key @0 :Text; rank @1 :UInt32; bytes @2 :Data; }

  peer @14 :UInt32;
  # In a tree, of what is passed on: up, who says it; down, for whom it is. 0: who is at the other
  # end of the connection. Unset in collect, which then stands for all nodes behind it, and in what
  # concerns more than one node: collected, start, coordinate, end.
}
