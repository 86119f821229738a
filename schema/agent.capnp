@0xb7f0c2d914a85e36;
# agent.capnp - the head as agents see it, and agents as the head sees them.
#
# One TLS connection per agent, dialled by the agent with its own certificate (agent:ID:EPOCH).
# Every message of the head carries the head's epoch; an agent that has seen a newer one refuses
# it. Everything may be repeated: runs are known by RunId and attempt.

using Cxx = import "/capnp/c++.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

const protocolVersion :UInt32 = 1;

interface AgentGate {
  # The bootstrap of the head's agent port.

  join @0 (hello :Hello, agent :Agent) -> JoinResult;
  # Answered after the fact is on disk. The node in `hello` must be the certificate's. A refusal
  # is final for this life of the node, except `overloaded`. A node that is being deleted is let
  # in once more, to bring its outputs away: no start will follow.
}

struct Hello {
  version @0 :UInt32;
  features @1 :UInt64;
  node @2 :Types.NodeRef;
  capacity @3 :Types.Resources;   # within the mask and limits the agent inherited
  hostName @4 :Text;
  dataAddress @5 :Text;           # host:port of the agent's data port
  agentPid @6 :UInt32;
  wardenPid @7 :UInt32;
  topologyHash @8 :Data;          # SHA-256 of the hwloc XML
  live @9 :List(Types.RunSet);    # queued or running here
  labels @10 :List(Text);
}

struct JoinResult {
  union {
    welcome @0 :Welcome;
    refusal @1 :Types.Refusal;
  }
}

struct Welcome {
  headEpoch @0 :UInt64;
  session @1 :UInt64;        # counts the joins of this node; start batches carry it
  nowUs @2 :Int64;           # the head's Time as it answers; the agent reckons from it
  head @3 :HeadSession;
  ticketKey @4 :Data;        # Ed25519 public key of data tickets
  storeAddress @5 :Text;     # host:port of leat-store
  pool @6 :Text;
  clusterId @7 :Text;
  features @8 :UInt64;
  outputTicket @9 :Data;     # right to bring this node's outputs to leat-store
}

interface HeadSession {
  report @0 (batch :ReportBatch) -> (headEpoch :UInt64);
  # Returns when the facts are on disk; only then may the agent forget. At most
  # `maxReportsInFlight` calls may be unanswered.

  leave @1 () -> ();
  # The agent is stopping in good order and holds no run.

  evacuated @2 (stored :Bool, bytes :UInt64, reason :Text) -> ();
  # What came of `evacuate`: all that runs have written here is in leat-store, or why it is not.

  evacuating @3 (bytes :UInt64) -> ();
  # `evacuate` is at work, and has brought more than when this was last said: so much by now. A
  # node of which nothing is heard for long is ended without its outputs.

  progress @4 (tasks :List(Types.TaskProgress)) -> ();
  # What tasks have told of themselves since this was last said: the newest word of each. Not kept
  # on disk.
}

const maxReportsInFlight :UInt32 = 4;
const maxRunsInBatch :UInt32 = 4096;

struct ReportBatch {
  ended @0 :List(Ended);

  struct Ended {
    runs @0 :Types.RunSet;
    columns @1 :Types.RunColumns;
    result @2 :Types.BlobRef;   # of a job's result stage: where its output was stored
  }
}

interface Agent {
  # Calls are answered as soon as they are understood; what comes of them is reported.

  start @0 (batch :StartBatch) -> (hubs :List(StartedHub));
  # Of gangs whose first member is here: where the others find it.
  end @1 (headEpoch :UInt64, orders :List(EndOrder)) -> ();
  withdraw @2 (headEpoch :UInt64, job :UInt64, stage :UInt16, count :UInt64) -> ();
  # Give back up to `count` runs that have not started, the last first: they are reported as
  # `withdrawn`.
  release @3 (headEpoch :UInt64, jobs :List(UInt64)) -> ();
  # No reduce needs the outputs of these jobs any more; logs are kept as long as there is room.
  ping @4 (headEpoch :UInt64) -> (queued :UInt64, running :UInt64);
  stop @5 (headEpoch :UInt64) -> ();
  # End every run, then leave. The node is being deleted.
  evacuate @6 (headEpoch :UInt64, ticket :Data) -> ();
  # Nothing runs here any more, and nothing will: bring what runs have written to leat-store.
  # Answered at once, reported by `evacuated`; repeating it begins nothing twice.
}

struct StartBatch {
  headEpoch @0 :UInt64;
  session @1 :UInt64;
  sequence @2 :UInt64;       # counts batches of a session; an old one is ignored
  sets @3 :List(StartSet);
}

struct StartSet {
  runs @0 :Types.RunSet;
  claims @1 :UInt32;              # how many of this stage may run at once here
  spec @2 :Types.StageSpec;       # sent with the first set of a stage in a session
  taskCount @3 :UInt64;           # LEAT_TASK_COUNT
  inputs @4 :List(TaskInputs);    # of reduce steps, one per run in the order of `runs`
  jobName @5 :Text;
  isResult @6 :Bool;              # the output goes to leat-store before success is reported
  storeTicket @7 :Data;           # right to read this stage's input blobs, or write the result
  inputTicket @8 :Data;           # right to read them, where storeTicket is to write
  exclusive @9 :Bool;             # each run has the node to itself
  gang @10 :GangStart;            # of a gang, whose only run this is then
}

struct GangStart {
  # One member of a gang.
  member @0 :UInt32;              # which of `nodes` this is
  nodes @1 :List(Node);
  hub @2 :GangHub;                # where the first member is; not for the first
  interfaces @3 :Text;            # of the pool; a job's own go before it

  struct Node {
    node @0 :Types.NodeRef;
    hostName @1 :Text;
  }
}

struct GangHub {
  # Where the members of a gang meet, and what makes each of them one. Made by the first member's
  # agent for one attempt, and worth nothing after it.
  address @0 :Text;               # host:port
  authorityPem @1 :Text;
  certificatePem @2 :Text;
  keyPem @3 :Text;
}

struct StartedHub {
  run @0 :Types.RunId;
  hub @1 :GangHub;
}

struct TaskInputs {
  # Where a reduce step finds its input, in index order.
  parts @0 :List(Part);

  struct Part {
    runs @0 :Types.RunSet;
    node @1 :Types.NodeRef;
    address @2 :Text;           # the data port of that node's agent
    ticket @3 :Data;
    ofGangs @4 :Bool;           # outputs that mark what comes from whom: rank 0's is what counts
  }
}

struct EndOrder {
  runs @0 :Types.RunSet;
  why @1 :Types.Outcome;        # cancelled, or withdrawn for one that is not wanted any more
  graceUs @2 :Int64;
}
