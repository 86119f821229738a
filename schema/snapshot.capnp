@0x9d4e7a1c3b60f825;
# snapshot.capnp - the state as rows, and the runs in a row of history.
#
# A row of table `snapshot` is one of these structs as an unpacked message; rows of kind `spec`
# are a JobSpec (types.capnp). Fields are added, never changed (docs/store.md).

using Cxx = import "/capnp/c++.capnp";
using Facts = import "facts.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

struct MetaRow {
  headEpoch @0 :UInt64;
  nextJob @1 :UInt64;
  nextNode @2 :UInt32;
  nextNodeEpoch @3 :UInt64;
  nextPool @4 :UInt32;
  mappedUs @5 :Int64;        # Time that was …
  mappedWallUs @6 :Int64;    # … this wall clock
}

struct PoolRow {
  id @0 :UInt32;
  state @1 :UInt16;          # core PoolState
  spec @2 :Types.PoolSpec;
  key @3 :Text;
  failures @4 :UInt32;       # in a row
  failedAtUs @5 :Int64 = 9223372036854775807;
  trouble @6 :Text;
  probeAtUs @7 :Int64 = 9223372036854775807;
  probePauseUs @8 :Int64;
  recallAtUs @9 :Int64 = 9223372036854775807;
  seen @10 :Types.Resources; # of the newest node that joined
  hasSeen @11 :Bool;
  seenLabels @12 :List(Text); # of the same node
}

struct NodeRow {
  node @0 :Types.NodeRef;
  pool @1 :UInt32;
  state @2 :UInt16;          # core NodeState
  sinceUs @3 :Int64;
  tokenHash @4 :Data;
  tokenExpiresUs @5 :Int64;
  session @6 :UInt64;
  capacity @7 :Types.Resources;
  hostName @8 :Text;
  dataAddress @9 :Text;
  agentPid @10 :UInt32;
  wardenPid @11 :UInt32;
  topologyHash @12 :Data;
  labels @13 :List(Text);
  free @14 :Types.Resources;
  allotments @15 :List(Allotment);
  reported @16 :Types.NodeRef;   # node of its last report; zero before the first
  duty @17 :UInt16;              # core NodeDuty
  reason @18 :Text;
  recallAtUs @19 :Int64 = 9223372036854775807;
  requestedUs @20 :Int64;
  joinedUs @21 :Int64 = 9223372036854775807;
  idleSinceUs @22 :Int64 = 9223372036854775807;
  countedUs @23 :Int64 = 9223372036854775807;  # never: written before these were kept
  usedMillicoreUs @24 :UInt64;
  busyUs @25 :UInt64;
  placedUs @26 :Int64;           # when anything was last placed there

  struct Allotment {
    job @0 :UInt64;
    stage @1 :UInt16;
    claims @2 :UInt32;
    runs @3 :List(Interval);     # positions
    untilUs @4 :Int64 = 9223372036854775807;  # when all are over at the latest; never: unknown
  }
  struct Interval {
    first @0 :UInt64;
    last @1 :UInt64;
  }
}

struct JobRow {
  # All of a job but its spec and the cells of its tasks. Also the summary in job_history.
  id @0 :UInt64;
  key @1 :Text;
  name @2 :Text;
  owner @3 :Types.Principal;
  priority @4 :Int32;
  state @5 :UInt16;              # core JobState
  cancelRequested @6 :Bool;
  submittedUs @7 :Int64;
  startedUs @8 :Int64;           # the largest Int64: never
  endedUs @9 :Int64;
  retried @10 :UInt64;
  lost @11 :UInt64;
  failures @12 :List(Failure);
  result @13 :Types.BlobRef;
  finalCounts @14 :List(List(UInt64));  # per stage and core TaskState, once ended
  stages @15 :List(Stage);              # of an active job
  retryOf @16 :UInt64;
  skipReason @17 :UInt16;               # facts.capnp SkipReason
  skipCause @18 :UInt64;
  heldBy @19 :Types.Principal;          # with state `held`
  heldUs @20 :Int64;
  # In job_history only: what is asked of a job after its end.
  tasksKnown @21 :Bool;                 # the next two say what became of the first stage's tasks
  indices @22 :List(Types.Stride);
  unsuccessful @23 :List(Types.Stride);
  spec @24 :Types.JobSpec;              # unless all succeeded
  stageNames @25 :List(Text);           # of an ended job, where its stages have names
  laterUnsuccessful @26 :List(List(Types.Stride));  # `unsuccessful` of the later stages; fewer:
                                                    # not kept

  struct Failure {
    stage @0 :UInt16;
    index @1 :UInt64;
    outcome @2 :Types.Outcome;
    code @3 :Int32;
    node @4 :Types.NodeRef;
  }
  struct Stage {
    endedRuns @0 :UInt64;
    endedUs @1 :UInt64;
    after @2 :List(UInt8);       # facts.capnp AfterState
  }
}

struct CellsRow {
  # The tasks at positions first..last of a stage. `starts` cuts them into stretches of equal
  # tasks, counted from `first`; a column has one value per stretch, or a single one that holds
  # for all, or none (all zero).
  first @0 :UInt64;
  last @1 :UInt64;
  starts @2 :List(UInt32);
  states @3 :List(UInt8);        # core TaskState
  attempts @4 :List(UInt32);
  failures @5 :List(UInt16);
  losses @6 :List(UInt16);
  nodes @7 :List(UInt32);
  nodeEpochs @8 :List(UInt64);
  dueUs @9 :List(Int64);         # delayed: when they may run again
}

struct GangRow {
  # One run of a gang of which a member has not ended. The row's id is the job, its part says stage
  # and position.
  attempt @0 :UInt32;
  placedUs @1 :Int64;
  nodes @2 :List(Types.NodeRef);  # by member; the first is the primary
  live @3 :List(NodeRow.Interval);  # members that have not ended
  sum @4 :Types.RunColumns;       # of those that have, as one run
  broken @5 :Bool;                # a member did not end well
  culprit @6 :UInt32;             # that member
  result @7 :Types.BlobRef;
}

struct KeysRow {
  # Wishes that were granted, with the numbers first, first + 1, ...: a page of the table of keys.
  first @0 :UInt64;
  wishes @1 :List(Wish);

  struct Wish {
    kind @0 :UInt16;             # core WishKind
    key @1 :Text;
    atUs @2 :Int64;
    answer @3 :Facts.GivenAnswer;
  }
}

struct HistoryRuns {
  # Which runs a row of run_history is about, and how each ended.
  indices @0 :List(Types.Stride);
  columns @1 :Types.RunColumns;
  wallOffsetUs @2 :Int64;        # plus columns.startUs is wall clock
}
