@0xa6e5d0b7c2914f38;
# pools.capnp - what users ask of pools and nodes, and what they are told.

using Cxx = import "/capnp/c++.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

struct Farewell {
  # What becomes of tasks that run on nodes that are to go.
  running @0 :Running;
  withinUs @1 :Int64;         # requeue: how long they may still go on

  enum Running {
    refuse @0;                # nothing is changed if there are any
    complete @1;              # they are let complete
    requeue @2;               # they are ended and run elsewhere, which costs no retry
  }
}

struct PoolChange {
  # Negative: stays as it is.
  min @0 :Int64 = -1;
  max @1 :Int64 = -1;
  idleTimeoutUs @2 :Int64 = -1;
  joinDeadlineUs @3 :Int64 = -1;
  farewell @4 :Farewell;
}

struct PlanResult {
  union {
    plan @0 :Plan;
    refusal @1 :Types.Refusal;
  }
  struct Plan {
    have @0 :UInt32;          # nodes there are, or are coming
    wanted @1 :UInt32;
    why @2 :List(Text);       # a line each
  }
}

struct TokensResult {
  union {
    tokens @0 :List(Token);
    refusal @1 :Types.Refusal;
  }
  struct Token {
    node @0 :UInt32;
    text @1 :Text;            # a secret: to be kept in a 0600 file
    expiresUs @2 :Int64;      # wall clock
  }
}
