@0xe2c67d1b90f3a458;
# scheduler.capnp - the head as its users see it.
#
# Served on the unix socket LEAT_HOME/head.sock to processes of the head's own uid. Mutating
# calls are answered after their facts are on disk and carry a `key` chosen by the caller:
# repeating a call with its key (1 to 128 bytes) within seven days returns the first answer and
# changes nothing, whatever others have done meanwhile, so whoever loses the connection may simply
# ask again. Another kind of call may use the same key. What was refused is not kept.
# Refusals are data; exceptions mean transport.

using Cxx = import "/capnp/c++.capnp";
using Pools = import "pools.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

interface Scheduler {
  submit @0 (key :Text, spec :Types.JobSpec, pool :Types.PoolSpec) -> SubmitResult;
  # One job, whatever its size. `pool`, unless its name is empty, is made for this job alone, under
  # that name and the job's number, and deleted when the job has ended.

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

  locate @9 (job :UInt64, stage :UInt16, index :UInt64, member :UInt32) -> LocateResult;
  # Where the output of the newest run of a task is, and a ticket to read it there; of a gang, that
  # of one member.

  result @10 (job :UInt64) -> ResultResult;
  # Where the result of a job is, and a ticket to read it from leat-store.

  upload @11 () -> (address :Text, ticket :Data);
  # A ticket to put blobs into leat-store (inputs of --each-line).

  createPool @12 (key :Text, spec :Types.PoolSpec) -> Answer;
  # The same spec under another key changes nothing; another size is refused in this version.

  shutdown @13 (endTasks :Bool) -> Answer;
  # Stops the nodes of local pools and then the head. Work that waits is kept; runs on local
  # nodes end and will be run again. Refused with `conflict` while tasks run, unless `endTasks`.

  changePool @14 (key :Text, pool :Text, change :Pools.PoolChange) -> Answer;
  # Another size, other times. A paused pool is opened again. Nodes that are too many are closed
  # to new work, and deleted when they are empty.

  deletePool @15 (key :Text, pool :Text, farewell :Pools.Farewell) -> Answer;
  # Answered when the wish is on disk; the pool is gone from `pools` with the last of its nodes.
  # `refuse`: refused with `conflict` while something runs there or an active job names the pool.

  planPool @16 (spec :Types.PoolSpec) -> Pools.PlanResult;
  # How many nodes the head would have in such a pool now, and why. Changes nothing. A pool of
  # this name need not exist; if it does, its nodes are counted.

  drainNode @17 (key :Text, node :UInt32, farewell :Pools.Farewell) -> Answer;
  # No new work there, until it is resumed. `requeue`: what still runs at the deadline is ended
  # and run elsewhere, which costs no retry.

  resumeNode @18 (key :Text, node :UInt32) -> Answer;

  removeNode @19 (key :Text, node :UInt32, farewell :Pools.Farewell) -> Answer;
  # Drains it, and deletes it when it is empty. Of a static pool's node that is lost this is the
  # word of somebody who knows that it will not come back.

  makeTokens @20 (key :Text, pool :Text, count :UInt32, lifeUs :Int64) -> Pools.TokensResult;
  # Tokens by which agents that are started by hand join a static pool: a node is expected for
  # each until it expires. Secrets are nowhere stored: the same key gets the same tokens only in
  # one life of the head, later others.

  events @21 (cursor :EventCursor, job :UInt64, wait :Bool) -> EventsResult;
  # What has happened from `cursor` on, oldest first, some of it; of one job, or of all (0).
  # `wait`: answers when there is something to tell. The head keeps no list for anybody: what has
  # left the store by the time it is asked for is told as a gap.

  overview @22 (cursor :UInt64, jobsMax :UInt32, nodesMax :UInt32) -> OverviewResult;
  # Answers when anything has changed since `cursor` (0: at once), a few times a second at most.

  copyHistory @23 () -> CopyResult;
  # Makes a copy of the tables of history, a file in LEAT_HOME/tmp. The caller removes it.

  pruneHistory @24 (beforeUs :Int64) -> PruneResult;
  # Deletes history of jobs that ended before an instant (wall clock), and events before it.

  retry @25 (key :Text, job :UInt64) -> SubmitResult;
  # Makes a job of the tasks that failed, were quarantined, cancelled or skipped, and of those that
  # come after them or whose outputs they read, with the specification they had, and with a pool of
  # its own if that job had one. Refused if there are none, if it has several stages and is active,
  # or if what it reads is not kept any more.

  setJob @26 (key :Text, job :UInt64, change :JobChange) -> Answer;

  hold @27 (key :Text, job :UInt64) -> Answer;
  # Nothing of the job is started any more until it is released; what runs goes on.

  release @28 (key :Text, job :UInt64) -> Answer;

  tasks @29 (job :UInt64, stage :UInt16) -> (indices :List(Types.Stride), refusal :Types.Refusal);
  # Which tasks a stage has; of a job that has ended, those that ran. At most 100000.
}

struct JobChange {
  setsPriority @0 :Bool;
  priority @1 :Int32;
  setsName @2 :Bool;
  name @3 :Text;
}

struct EventCursor {
  # A place between two events. Holds across restarts of the head. All 0: before the oldest kept.
  turn @0 :UInt64;            # the store's number of a turn
  fact @1 :UInt32;            # how many of its facts are before this place
}

struct Event {
  next @0 :EventCursor;       # the place after it
  atUs @1 :Int64;             # wall clock
  kind @2 :Text;              # submitted, placed, ended, …: leat-events(1)
  job @3 :UInt64;             # 0: not about a job
  stage @4 :UInt16;
  indices @5 :List(Types.Stride);
  count @6 :UInt64;           # tasks
  attempt @7 :UInt32;
  node @8 :UInt32;            # 0: not about a node
  pool @9 :UInt32;            # 0: not about a pool
  state @10 :Text;            # what came of it
  uid @11 :UInt32;            # who did it, where a person did
  person @12 :Bool;
  text @13 :Text;
  retryInUs @14 :Int64;       # tasks that are tried again: so long after `atUs`; 0: at once
}

struct EventsResult {
  union {
    page @0 :Page;
    refusal @1 :Types.Refusal;
  }
  struct Page {
    events @0 :List(Event);
    next @1 :EventCursor;     # after all that has been looked at
    lostTurns @2 :UInt64;     # between the cursor and the first event, no longer kept
  }
}

struct Overview {
  cursor @0 :UInt64;
  nowUs @1 :Int64;            # wall clock
  pools @2 :List(PoolSummary);
  nodes @3 :List(Cell);
  nodesLeftOut @4 :UInt32;    # beyond `nodesMax`
  jobs @5 :List(JobSummary);  # active ones: those that run first, then in order of submission
  jobsActive @6 :UInt64;
  counts @7 :Counts;          # over the active jobs

  struct Cell {
    node @0 :UInt32;
    pool @1 :UInt32;
    state @2 :Text;
    busyPermille @3 :UInt16;  # of its cores
    running @4 :UInt64;
    queued @5 :UInt64;
  }
}

struct OverviewResult {
  union {
    overview @0 :Overview;
    refusal @1 :Types.Refusal;
  }
}

struct CopyResult {
  union {
    path @0 :Text;
    refusal @1 :Types.Refusal;
  }
}

struct PruneResult {
  union {
    pruned @0 :Pruned;
    refusal @1 :Types.Refusal;
  }
  struct Pruned {
    jobs @0 :UInt64;
    runs @1 :UInt64;          # rows of them
    others @2 :UInt64;
  }
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
  note @2 :Text;  # of a retry: what it does besides what was asked for, a line for people
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
  skipped @6;      # ended: what it depends on did not come about, or it did not start in time
  held @7;         # a person holds it: nothing of it starts
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
  retryOf @15 :UInt64;        # the job whose tasks these are, again; 0: none
  skippedFor @16 :UInt64;     # the job whose end had tasks skipped; 0: none
  reason @17 :Text;           # why tasks were skipped, for people
  heldBy @18 :Types.Principal;
  heldUs @19 :Int64;          # wall clock; 0: it is not held
  progress @20 :List(Types.TaskProgress);  # of tasks that run: the newest words, the last first
  stageNames @21 :List(Text);  # as many as `stages`, or none

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
  reason @12 :Text;           # why it takes no work, or is deleted; empty: none
  labels @13 :List(Text);
}

struct PoolSummary {
  id @0 :UInt32;
  spec @1 :Types.PoolSpec;
  state @2 :Text;
  nodesUp @3 :UInt32;
  nodesLost @4 :UInt32;
  nodesComing @5 :UInt32;
  nodesLeaving @6 :UInt32;    # on their way out: those up and closed for good, or being deleted
  reason @7 :Text;            # why it is paused or deleted, what was wrong with its last node
  probeUs @8 :Int64;          # paused: when a node is tried next, wall clock; 0: never
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
  reason @0 :Text;            # pool | nodes | resources | busy | priority | dependency | …
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
    refusal @1 :Types.Refusal;
    notYet @2 :Text;          # it has not run, but may; the text says how to learn why
  }
  struct Place {
    run @0 :Types.RunId;
    node @1 :Types.NodeRef;
    address @2 :Text;
    ticket @3 :Data;
    stored @4 :Bool;          # the node is gone; `address` is leat-store's (`readOutput`)
    lost @5 :Text;            # what to say if there is nothing: `output lost with node N at T`
    members @6 :UInt32;       # of a gang, whose output marks what comes from whom; 0: no gang
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
