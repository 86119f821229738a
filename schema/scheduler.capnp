@0xe2c67d1b90f3a458;
# scheduler.capnp - the head as its users see it.
#
# Served on the unix socket LEAT_HOME/head.sock to processes of the head's own uid. Mutating
# calls are answered after their facts are on disk and carry a `key` chosen by the caller:
# repeating a call with its key within seven days returns the first answer, so whoever loses the
# connection may simply ask again. Refusals are data; exceptions mean transport.

using Cxx = import "/capnp/c++.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

interface Scheduler {
  submit @0 (key :Text, spec :Types.JobSpec) -> SubmitResult;
  # `key`: 1 to 128 bytes. One job, whatever its size.

  cancel @1 (key :Text, job :UInt64, stage :UInt16, indices :List(Types.Stride)) -> Answer;
  # No indices: the whole job. Answered when the wish is on disk; `watch` tells when it is done.

  status @2 () -> (status :Status);

  jobs @3 (limit :UInt32, before :UInt64) -> (jobs :List(JobSummary));
  # Newest first, at most `limit` (0: 1000), with ids below `before` (0: all).

  job @4 (job :UInt64) -> JobResult;
  # 0 means the newest job of the caller.

  nodes @5 () -> (nodes :List(NodeSummary));

  pools @6 () -> (pools :List(PoolSummary));

  why @7 (job :UInt64, stage :UInt16, index :UInt64, oneTask :Bool) -> WhyResult;
  # Why it waits: every blocking cause and what would unblock it; or what became of it.

  watch @8 (job :UInt64, cursor :UInt64) -> WatchResult;
  # Answers when the job has changed since `cursor` (0: at once), or has ended. Cursors are the
  # store's own numbers, so they hold across restarts of the head. A slow watcher gets a summary,
  # never a backlog.

  locate @9 (job :UInt64, stage :UInt16, index :UInt64) -> LocateResult;
  # Where the output of the newest run of a task is, and a ticket to read it there.

  result @10 (job :UInt64) -> ResultResult;
  # Where the result of a job is, and a ticket to read it from leat-store.

  upload @11 () -> (address :Text, ticket :Data);
  # A ticket to put blobs into leat-store (inputs of --each-line).

  createPool @12 (key :Text, spec :Types.PoolSpec) -> Answer;
  # Repeating it with the same spec changes nothing; with another size, refused in this version.

  shutdown @13 (endTasks :Bool) -> Answer;
  # Stops the nodes of local pools and then the head. Work that waits is kept; runs on local
  # nodes end and will be run again. Refused with `conflict` while tasks run, unless `endTasks`.
}

struct Answer {
  union {
    done @0 :Void;
    refusal @1 :Types.Refusal;
  }
}

struct SubmitResult {
  union {
    job @0 :UInt64;
    refusal @1 :Types.Refusal;
  }
}

struct Counts {
  # Tasks of one stage or of all stages; they add up to `total`.
  total @0 :UInt64;
  waiting @1 :UInt64;
  running @2 :UInt64;
  held @3 :UInt64;          # succeeded; a reduce still needs the output
  succeeded @4 :UInt64;
  failed @5 :UInt64;
  cancelled @6 :UInt64;
  quarantined @7 :UInt64;
  skipped @8 :UInt64;
}

enum JobState {
  waiting @0;      # nothing placed yet
  running @1;
  cancelling @2;
  succeeded @3;
  failed @4;
  cancelled @5;
}

struct JobSummary {
  id @0 :UInt64;
  name @1 :Text;
  owner @2 :Types.Principal;
  state @3 :JobState;
  counts @4 :Counts;          # of stage 0, what the user submitted
  priority @5 :Int32;
  submittedUs @6 :Int64;      # wall clock, microseconds since 1970; 0: not yet
  startedUs @7 :Int64;
  endedUs @8 :Int64;
  stages @9 :List(Counts);    # all of them: reduce steps are stages
  retried @10 :UInt64;        # runs that were tried again after a failure
  lost @11 :UInt64;           # runs that were lost with a node
  resultBytes @12 :UInt64;
  hasResult @13 :Bool;
  failures @14 :List(Failure);  # the first few

  struct Failure {
    stage @0 :UInt16;
    index @1 :UInt64;
    outcome @2 :Types.Outcome;
    code @3 :Int32;
    node @4 :UInt32;
  }
}

struct JobResult {
  union {
    job @0 :JobSummary;
    refusal @1 :Types.Refusal;
  }
}

struct NodeSummary {
  node @0 :Types.NodeRef;
  pool @1 :Text;
  state @2 :Text;             # docs/states.md
  hostName @3 :Text;
  capacity @4 :Types.Resources;
  free @5 :Types.Resources;
  running @6 :UInt64;
  queued @7 :UInt64;
  agentPid @8 :UInt32;
  wardenPid @9 :UInt32;
  dataAddress @10 :Text;
  joinedUs @11 :Int64;        # wall clock
}

struct PoolSummary {
  id @0 :UInt32;
  spec @1 :Types.PoolSpec;
  state @2 :Text;
  nodesUp @3 :UInt32;
  nodesLost @4 :UInt32;
  nodesComing @5 :UInt32;
}

struct Status {
  version @0 :Text;
  headEpoch @1 :UInt64;
  clusterId @2 :Text;
  daemons @3 :List(Daemon);   # head, store, agents, wardens of local pools
  pools @4 :List(PoolSummary);
  jobsActive @5 :UInt64;
  counts @6 :Counts;          # over the active jobs
  agentBytesIn @7 :UInt64;    # on the head's connections to agents, since it started
  agentBytesOut @8 :UInt64;
  storeSequence @9 :UInt64;
  startedUs @10 :Int64;
  agentAddress @11 :Text;
  enrolAddress @12 :Text;
  storeAddress @13 :Text;
  storeFactBytes @14 :UInt64;
  facts @15 :UInt64;          # written since the head started

  struct Daemon {
    name @0 :Text;            # leat-scheduler, leat-store, leat-agent, leat-warden
    pid @1 :UInt32;
    node @2 :UInt32;          # 0: on the head
  }
}

struct Cause {
  reason @0 :Text;            # resources | nodes | priority | dependency | nodeLost | pool
  message @1 :Text;
  remedy @2 :Text;
  tasks @3 :UInt64;
}

struct WhyResult {
  union {
    causes @0 :List(Cause);
    refusal @1 :Types.Refusal;
  }
}

struct WatchResult {
  union {
    change @0 :Change;
    refusal @1 :Types.Refusal;
  }
  struct Change {
    job @0 :JobSummary;
    cursor @1 :UInt64;
    nowUs @2 :Int64;          # wall clock
  }
}

struct LocateResult {
  union {
    place @0 :Place;
    refusal @1 :Types.Refusal;   # also `output lost with node N at T`
  }
  struct Place {
    run @0 :Types.RunId;
    node @1 :Types.NodeRef;
    address @2 :Text;
    ticket @3 :Data;
  }
}

struct ResultResult {
  union {
    place @0 :Place;
    refusal @1 :Types.Refusal;
  }
  struct Place {
    blob @0 :Types.BlobRef;
    address @1 :Text;
    ticket @2 :Data;
  }
}
