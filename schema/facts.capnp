@0xc5b81e6f03d7a294;
# facts.capnp - what the store keeps: one struct per fact.
#
# A turn of the engine is one row of table `fact`. Facts are added, never changed
# (docs/store.md).

using Cxx = import "/capnp/c++.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

struct Turn {
  timeUs @0 :Int64;          # microseconds since the store was created
  headEpoch @1 :UInt64;
  facts @2 :List(Fact);
}

struct Fact {
  union {
    headStarted @0 :HeadStarted;
    poolSet @1 :PoolSet;
    nodeRequested @2 :NodeRequested;
    nodeEnrolled @3 :Types.NodeRef;
    nodeJoined @4 :NodeJoined;
    nodeLost @5 :Types.NodeRef;
    nodeGone @6 :NodeGone;
    jobAccepted @7 :JobAccepted;
    runsPlaced @8 :RunsPlaced;
    runsEnded @9 :RunsEnded;
    runsRequeued @10 :RunsEnded;    # `state` is then waiting, or delayed
    tasksSetAside @11 :TasksSetAside;
    outputsLost @12 :OutputsLost;
    cancelRequested @13 :CancelRequested;
    jobEnded @14 :JobEnded;
    jobForgotten @15 :UInt64;
    poolRemoved @16 :UInt32;
    nodesRequested @17 :NodesRequested;
    dutyChanged @18 :DutyChanged;
    runsRecalled @19 :Types.NodeRef;
    nodesDeleting @20 :NodesDeleting;
    poolPaused @21 :PoolPaused;
    poolReopened @22 :PoolReopened;
    poolDeleting @23 :PoolDeleting;
    tasksDue @24 :TasksDue;
    jobHeld @25 :JobWish;
    jobReleased @26 :JobWish;
    jobSet @27 :JobSet;
    wishGranted @28 :WishGranted;
    gangPlaced @29 :GangPlaced;
    memberEnded @30 :MemberEnded;
  }
}

struct HeadStarted {
  epoch @0 :UInt64;
  wallUs @1 :Int64;          # ties timeUs of this turn to the wall clock
  version @2 :Text;
}

struct PoolSet {
  id @0 :UInt32;
  spec @1 :Types.PoolSpec;
  actor @2 :Types.Principal;
  key @3 :Text;
}

struct NodeRequested {
  node @0 :Types.NodeRef;
  pool @1 :UInt32;
  tokenHash @2 :Data;        # SHA-256 of the join token's secret
  tokenExpiresUs @3 :Int64;  # Time
}

struct NodeJoined {
  node @0 :Types.NodeRef;
  session @1 :UInt64;
  capacity @2 :Types.Resources;
  hostName @3 :Text;
  dataAddress @4 :Text;
  agentPid @5 :UInt32;
  wardenPid @6 :UInt32;
  topologyHash @7 :Data;
  labels @8 :List(Text);
}

struct NodeGone {
  node @0 :Types.NodeRef;
  proof @1 :Text;            # why it cannot come back
}

struct JobAccepted {
  job @0 :UInt64;
  key @1 :Text;
  owner @2 :Types.Principal;
  spec @3 :Types.JobSpec;
  after @4 :List(AfterState);  # of every stage's `after`, in order
}

enum AfterState {
  # How a stage stands to something it comes after.
  open @0;
  met @1;
  dead @2;                   # it ended as it must not
}

enum SkipReason {
  # Why tasks were set aside as skipped.
  none @0;
  dependency @1;             # `cause` ended as they did not want
  startWithin @2;            # the job had not started in time
}

struct RunsPlaced {
  runs @0 :Types.RunSet;
  node @1 :Types.NodeRef;
  claims @2 :UInt32;         # of the stage on the node, from now on
  shares @3 :List(Share);    # never written: a gang is placed by a GangPlaced

  struct Share {
    member @0 :UInt32;
    node @1 :Types.NodeRef;
  }
}

enum TaskState {
  blocked @0;
  waiting @1;
  placed @2;
  ending @3;
  held @4;
  succeeded @5;
  failed @6;
  cancelled @7;
  quarantined @8;
  skipped @9;
  delayed @10;
}

struct RunsEnded {
  runs @0 :Types.RunSet;
  node @1 :Types.NodeRef;
  state @2 :TaskState;
  columns @3 :Types.RunColumns;
  result @4 :Types.BlobRef;
  delayUs @5 :Int64;         # requeued: from now until they are tried again; 0: as their spec says
}

struct GangPlaced {
  # One run of a gang, each of its members on a node of its own.
  job @0 :UInt64;
  stage @1 :UInt16;
  attempt @2 :UInt32;
  index @3 :UInt64;
  nodes @4 :List(Types.NodeRef);  # by member; the first is the primary
}

struct MemberEnded {
  # One member of a gang is over. What the run has come to is told by a fact of its own, after the
  # last of them.
  job @0 :UInt64;
  stage @1 :UInt16;
  attempt @2 :UInt32;
  index @3 :UInt64;
  node @4 :Types.NodeRef;
  columns @5 :Types.RunColumns;   # of this member alone
  result @6 :Types.BlobRef;
}

struct TasksSetAside {
  # Tasks that end without a run.
  job @0 :UInt64;
  stage @1 :UInt16;
  indices @2 :List(Types.Stride);
  state @3 :TaskState;
  reason @4 :SkipReason;
  cause @5 :UInt64;          # a job, with reason `dependency`
}

struct TasksDue {
  # The delay before their next try is over.
  job @0 :UInt64;
  stage @1 :UInt16;
  indices @2 :List(Types.Stride);
}

struct JobWish {
  job @0 :UInt64;
  actor @1 :Types.Principal;
}

struct JobSet {
  job @0 :UInt64;
  actor @1 :Types.Principal;
  priority @2 :Int32;
  name @3 :Text;
}

struct OutputsLost {
  job @0 :UInt64;
  stage @1 :UInt16;
  indices @2 :List(Types.Stride);
}

struct CancelRequested {
  job @0 :UInt64;
  stage @1 :UInt16;
  indices @2 :List(Types.Stride);  # none: the whole job
  actor @3 :Types.Principal;
}

struct JobEnded {
  job @0 :UInt64;
  state @1 :UInt16;                # schema JobState
}

struct NodesRequested {
  # Nodes first, first + 1, ... (and their epochs), one for each token.
  first @0 :Types.NodeRef;
  pool @1 :UInt32;
  tokenHashes @2 :List(Data);
  tokenExpiresUs @3 :Int64;        # also: until when they have to join
}

struct DutyChanged {
  nodes @0 :List(Types.NodeRef);
  step @1 :UInt16;                 # core DutyStep
  reason @2 :Text;
  recallAtUs @3 :Int64;            # the largest Int64: never
  actor @4 :Types.Principal;
  key @5 :Text;
}

struct NodesDeleting {
  nodes @0 :List(Types.NodeRef);
  cause @1 :UInt16;                # core DeleteCause
  reason @2 :Text;
  actor @3 :Types.Principal;
  key @4 :Text;
}

struct PoolPaused {
  pool @0 :UInt32;
  reason @1 :Text;
  probeAtUs @2 :Int64;             # the largest Int64: when a person says so
  actor @3 :Types.Principal;
  key @4 :Text;
}

struct PoolReopened {
  pool @0 :UInt32;
  actor @1 :Types.Principal;
  key @2 :Text;
}

struct PoolDeleting {
  pool @0 :UInt32;
  reason @1 :Text;
  recallAtUs @2 :Int64;
  actor @3 :Types.Principal;
  key @4 :Text;
}

struct GivenAnswer {
  union {
    done @0 :Void;
    job @1 :UInt64;
    pool @2 :UInt32;
    node @3 :Types.NodeRef;
    number @4 :UInt64;
  }
}

struct WishGranted {
  # A wish was not refused: repeated under its key, it is answered so again. (JobAccepted is the
  # same for a job.)
  kind @0 :UInt16;                 # core WishKind
  key @1 :Text;
  actor @2 :Types.Principal;
  answer @3 :GivenAnswer;
}
