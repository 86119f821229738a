@0xd8a1f3b25c6e4071;
# types.capnp - the words of the protocol and of the store: ids, index lists, specs, outcomes.
#
# Whatever stands here is on people's disks. Fields are added at the end, never changed, never
# renumbered, never reused; an unknown enumerator is kept and shown as its number. A fixture of
# every struct lies in tests/fixtures and is read by a test for ever.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("leat::schema");

# --- names ---------------------------------------------------------------------------------

struct NodeRef {
  # One life of one node. The epoch never repeats, so a message from an earlier life is known.
  id @0 :UInt32;
  epoch @1 :UInt64;
}

struct Stride {
  # `count` indices from `first`, `step` apart. Indices are below 2^48.
  first @0 :UInt64;
  count @1 :UInt64 = 1;
  step @2 :UInt64 = 1;
}
# A List(Stride) is an index list: sorted, distinct, strides do not interleave, at most 2^32
# elements.

struct RunId {
  # One attempt at one task, JOB.STAGE.INDEX. Attempts count from 1.
  job @0 :UInt64;
  stage @1 :UInt16;
  attempt @2 :UInt32;
  index @3 :UInt64;
}

struct RunSet {
  # Attempts with the same number at several tasks of one stage.
  job @0 :UInt64;
  stage @1 :UInt16;
  attempt @2 :UInt32;
  indices @3 :List(Stride);
  member @4 :UInt32;      # which member of the placement (a gang has several); 0 for the first
}

struct Principal {
  # Who asked. Users come by the head's unix socket (uid) or with a certificate.
  uid @0 :UInt32;
  host @1 :Text;
  certificate @2 :Text;   # common name, where one was shown
}

# --- outcomes ------------------------------------------------------------------------------

enum Outcome {
  # How a run ended. Open: readers keep enumerators they do not know.
  exit @0;              # `code` is the exit code; 0 is success
  signal @1;            # `code` is the signal number
  outOfMemory @2;
  timeLimit @3;         # wall-clock limit; `code` is the signal that ended it
  nodeLost @4;
  withdrawn @5;         # given back before it started
  cancelled @6;         # by a person; `code` is the signal that ended it, 0 if it never ran
  couldNotStart @7;     # `code` is the errno
  quarantined @8;       # set aside after three lost nodes
  dependencyFailed @9;
  inputLost @10;        # its input could not be fetched; costs no retry
  spoolFull @11;        # its output could not be kept; costs no retry
  outputLost @12;       # it succeeded, and its output went with its node
}

struct RunColumns {
  # What is known of the runs of a set, in the order of the set. Each list has one element per
  # run, or a single one that holds for all, or none (all zero).
  outcome @0 :List(Outcome);
  code @1 :List(Int32);
  startUs @2 :List(Int64);      # on the head's time line, as the agent reckons it
  durationUs @3 :List(Int64);
  cpuUs @4 :List(Int64);        # user + system
  peakKib @5 :List(Int64);      # peak resident memory; negative: "at most", the floor was met
  outputBytes @6 :List(Int64);  # standard output kept in the spool
  flags @7 :List(UInt32);       # bit 0: output was cut, bit 1: standard error was cut
}

# --- what users ask for --------------------------------------------------------------------

struct Resources {
  # What one member of a placement needs, or what a node has. Counts, never fractions.
  millicores @0 :UInt32 = 1000;
  memoryBytes @1 :UInt64;      # 0: none asked for
  gpus @2 :UInt32;
  counters @3 :List(Counter);  # any other named resource, sorted by name, each once

  struct Counter {
    name @0 :Text;
    amount @1 :UInt64;
  }
}

struct Member {
  # What a task is placed as. A single member on any node is a plain task; `count` of them on
  # distinct nodes are a gang: one task that runs on all of them at once, perhaps on one alone.
  count @0 :UInt32 = 1;
  resources @1 :Resources;
  spread @2 :Spread;

  enum Spread {
    any @0;
    sameNode @1;
    distinctNodes @2;
  }
}

struct Variable {
  name @0 :Text;
  value @1 :Text;
}

struct BlobRef {
  # Bytes in leat-store, by content. Empty hash: none.
  hash @0 :Data;      # SHA-256, 32 bytes
  length @1 :UInt64;
}

struct Program {
  argv @0 :List(Text);             # never a shell string; argv[0] is looked up in the task's PATH
  environment @1 :List(Variable);  # the task's whole environment, but for what Leat adds
  directory @2 :Text;              # absolute; must exist on the node
  bindCores @3 :Bool;
  outputLimitBytes @4 :UInt64 = 1073741824;  # per stream and run; more is cut and marked
  taskDirectory @5 :Bool;          # a directory of its own for each task
  outputDirectory @6 :Text;        # absolute; each task's output is also put here, as plain files
}

struct Inputs {
  # What a task is given to work on.
  union {
    none @0 :Void;
    lines @1 :Lines;
    outputs @2 :Outputs;
  }
  standardInput @3 :BlobRef;
  # All of it is every task's standard input. Not beside `outputs`, nor beside lines that are read
  # there themselves.

  struct Lines {
    # Task at position p (not index) of the stage gets lines p*chunk .. (p+1)*chunk-1 of `data`.
    data @0 :BlobRef;
    offsets @1 :BlobRef;   # position -> first byte: u64 little-endian each, one more than tasks
    chunk @2 :UInt64 = 1;
    lines @3 :UInt64;
    use @4 :Use;           # other than `stream`: one line per task

    enum Use {
      stream @0;           # on standard input; a single line also as LEAT_ENTRY
      file @1;             # the name of a file: LEAT_INPUT, and `{}` in the arguments
      object @2;           # a JSON object: standard input, LEAT_INPUT, `{field}` in the arguments
    }
  }

  struct Outputs {
    # A reduce step: the task at position p gets the accepted standard outputs of positions
    # p*width .. (p+1)*width-1 of stage `stage`, concatenated in index order.
    stage @0 :UInt16;
    width @1 :UInt64;
  }
}

struct After {
  job @0 :UInt64;      # 0: this job
  stage @1 :UInt16;    # of this job, one before the stage that waits; of another job: 0, all of it
  elementWise @2 :Bool;
  on @3 :Condition;

  enum Condition {
    success @0;
    failure @1;
    any @2;
  }
}

struct StageSpec {
  program @0 :Program;
  indices @1 :List(Stride);
  inputs @2 :Inputs;
  members @3 :List(Member);      # one for a plain task
  retries @4 :UInt32;            # failures of the user's program that are tried again
  timeLimitUs @5 :Int64;         # wall clock of one run; 0: none
  graceUs @6 :Int64 = 5000000;   # between SIGTERM and SIGKILL
  after @7 :List(After);
  leaseUs @8 :Int64 = 300000000;
  onNodeLoss @9 :OnNodeLoss;
  exclusiveRun @10 :Bool;
  startWithinUs @11 :Int64;      # 0: waits as long as it takes
  retryDelay @12 :RetryDelay;    # between a failure and the next try
  retryOn @13 :RetryOn;          # which failures `retries` is for
  warning @14 :Warning;          # a signal some time before the limit
  origin @15 :List(Stride);      # of a retry: the indices of the stage it retries some of. Input
                                 # lines and LEAT_TASK_COUNT are counted by them. Empty: `indices`

  gang @16 :GangSpec;            # where its member is one of several on distinct nodes
  name @17 :Text;                # what people call it; no two stages of a job have the same

  enum OnNodeLoss {
    requeue @0;
    fail @1;
    wait @2;
  }
}

struct GangSpec {
  # What a gang runs. What one node gives to it stands in its stage's `members`.
  launch @0 :Launch;
  ranksPerNode @1 :List(UInt32);  # one for each node, in their order, or one for all; none: 1
  coresPerRank @2 :UInt32;        # 0: what is on the node, shared alike
  bind @3 :Bind;
  bindTo @4 :BindTo;
  coordination @5 :List(Text);    # argv; must end well on every node before the program starts
  interfaces @6 :Text;            # "eth0,10.0.0.0/8": over which ranks talk; empty: as MPI chooses

  enum Launch {
    mpi @0;           # ranks by PMIx; a program that never calls MPI_Init is run, with a warning
    mpiRequired @1;   # likewise, and that is a failure
    pmi1 @2;          # ranks by PMI-1: MPICH and its kin
    application @3;   # the program runs once, on the first node
  }
  enum Bind {
    compact @0;       # ranks that follow each other, on cores that do
    spread @1;        # as far from each other as they can be
    none @2;
  }
  enum BindTo {
    core @0;
    numa @1;
    socket @2;
  }
}

struct RetryDelay {
  # The n-th failure of a task waits us * (factorMilli / 1000)^(n-1), at most maxUs.
  us @0 :Int64;                  # 0: no delay
  factorMilli @1 :UInt32 = 1000;
  maxUs @2 :Int64;               # 0: no longer than a month
}

struct RetryOn {
  # Failures that are tried again; all of them unless `only`.
  only @0 :Bool;
  codes @1 :List(UInt8);         # exit codes
  signals @2 :List(UInt8);
  outcomes @3 :List(Outcome);    # timeLimit, outOfMemory, couldNotStart
}

struct Warning {
  signal @0 :UInt8;              # 0: none
  beforeUs @1 :Int64;            # before the time limit; less than that
}

struct JobSpec {
  name @0 :Text;
  priority @1 :Int32;            # higher first, then order of submission
  pools @2 :List(Text);          # in order of preference; empty: any
  requires @3 :List(Text);       # L or K=V: a node must have it; !L: must not
  exclusive @4 :Bool;            # each task has its node to itself
  stages @5 :List(StageSpec);
  resultStage @6 :Int32 = -1;    # whose only task's output is the job's result; -1: none
  retryOf @7 :UInt64;            # the job whose tasks these are, again; 0: none
  placement @8 :Placement;
  ownPool @9 :PoolSpec;          # as `submit` was given it, for a retry; filled in by the head
}

enum Placement {
  # Which of the nodes with room for a task gets it.
  asPool @0;     # as its pool says; in a pool: as `pack`
  pack @1;       # the fullest
  spread @2;     # the emptiest
}

struct PoolSpec {
  name @0 :Text;
  provider @1 :Text;             # local | static | ssh | slurm | script
  nodes @2 :UInt32;
  declared @3 :Bool;             # `shape` says what every node has
  shape @4 :Resources;
  labels @5 :List(Text);
  # `nodes` above 0, min and max 0: a fixed size of `nodes`, as written by the first version. Else
  # min and max count, and `nodes` is what they have in common, or 0.
  min @6 :UInt32;
  max @7 :UInt32;
  idleTimeoutUs @8 :Int64 = 300000000;   # before a node beyond `min` is closed and deleted
  joinDeadlineUs @9 :Int64 = 120000000;  # from the wish for a node to its joining
  forJob @10 :UInt64;                    # the only job that may use it, and it goes with it; 0: all
  tasksPerNode @11 :UInt32;       # at once, at most; 0: as many as fit
  placement @12 :Placement;
  memoryLimits @13 :MemoryLimits;
  mpiInterfaces @14 :Text;        # over which ranks talk, unless a job says; as GangSpec has it

  enum MemoryLimits {
    auto @0;     # kept by the kernel, on nodes that can
    off @1;
  }
}

struct TaskProgress {
  # What a running task has told of itself (LEAT_PROGRESS_SOCKET).
  run @0 :RunId;
  permille @1 :UInt16;
  message @2 :Text;
}

# --- refusals ------------------------------------------------------------------------------

struct Refusal {
  # Why a request was turned down. `reason` is for programs, `message` for people.
  reason @0 :Reason;
  message @1 :Text;

  enum Reason {
    notFound @0;
    conflict @1;
    invalid @2;
    overloaded @3;         # come back later, with back-off
    disconnected @4;
    notInThisVersion @5;
  }
}
