@0xa3d9e0517fb2c486;
# data.capnp - bytes: outputs of runs at agents, blobs and results at leat-store.
#
# None of this passes the head. Every call shows a ticket that the head signed
# (transport/ticket.h); it names what may be read or written, by whom, and until when.

using Cxx = import "/capnp/c++.capnp";
using Types = import "types.capnp";
$Cxx.namespace("leat::schema");

const maxReadBytes :UInt32 = 1048576;

enum Stream {
  output @0;
  error @1;
}

interface DataServer {
  # The bootstrap of an agent's data port.

  read @0 (ticket :Data, run :Types.RunId, stream :Stream, offset :UInt64, length :UInt32)
      -> ReadResult;
  # At most `maxReadBytes`. `finished` tells whether `total` is final: a live log is read by
  # asking again from where the last answer ended, and waits at the server for more.

  readSet @1 (ticket :Data, runs :Types.RunSet, position :UInt64, offset :UInt64, length :UInt32)
      -> ReadSetResult;
  # Standard outputs of many runs, concatenated in the order of `runs`, from byte `offset` of
  # the run at `position`. Reduce steps read here: one call moves many small outputs.

  clock @2 () -> (wallSeconds :Int64);
  # The node's wall clock, seconds since 1970. Needs no ticket: leat doctor asks whether the port
  # can be reached and the clocks agree.
}

struct ReadResult {
  union {
    bytes @0 :Bytes;
    refusal @1 :Types.Refusal;
  }
  struct Bytes {
    data @0 :Data;
    total @1 :UInt64;      # bytes kept so far
    finished @2 :Bool;
    truncated @3 :Bool;    # output over the limit was cut
  }
}

struct ReadSetResult {
  union {
    bytes @0 :Bytes;
    refusal @1 :Types.Refusal;
  }
  struct Bytes {
    data @0 :Data;
    position @1 :UInt64;   # where to go on
    offset @2 :UInt64;
    finished @3 :Bool;     # all of the set has been read
  }
}

interface BlobServer {
  # The bootstrap of leat-store.

  has @0 (ticket :Data, hash :Data) -> (present :Bool);
  put @1 (ticket :Data, length :UInt64) -> PutResult;
  # Opens an upload. The blob appears, whole and synced, when `finish` is answered.
  read @2 (ticket :Data, hash :Data, offset :UInt64, length :UInt32) -> ReadResult;
  usage @3 () -> (blobs :UInt64, bytes :UInt64, quota :UInt64, outputBytes :UInt64);
  # `outputBytes`: what nodes that are gone have left, besides `bytes`.

  # What outlives a node: an agent brings its spool, file by file, and then says that it is whole.
  # The node is the one of the certificate; the ticket a right to write that names no job. Doing it
  # again, also from the middle, is harmless.
  putOutputs @4 (ticket :Data, file :SpoolFile) -> PutResult;
  outputs @5 (ticket :Data) -> (files :List(SpoolFile));   # what has come of this node
  keepOutputs @6 (ticket :Data, files :List(SpoolFile)) -> KeepResult;
  # Refused unless all of these have come; from then on they can be read.

  readOutput @7 (ticket :Data, node :Types.NodeRef, run :Types.RunId, stream :Stream,
                 offset :UInt64, length :UInt32) -> ReadResult;

  keepInputs @8 (hashes :List(Data), last :Bool, olderThanS :UInt64) -> (deleted :UInt64);
  # Of the head only: blobs that jobs still need, in several calls. After the last one, inputs that
  # none of them has named and that nobody has needed or asked for so long are deleted. Results
  # never are.
}

struct SpoolFile {
  name @0 :Text;      # "index.log", "slot-3.17.out"
  length @1 :UInt64;
}

struct KeepResult {
  union {
    done @0 :Void;
    refusal @1 :Types.Refusal;
  }
}

struct PutResult {
  union {
    upload @0 :Upload;
    refusal @1 :Types.Refusal;
  }
}

interface Upload {
  write @0 (data :Data) -> stream;
  finish @1 () -> FinishResult;
}

struct FinishResult {
  union {
    blob @0 :Types.BlobRef;
    refusal @1 :Types.Refusal;
  }
}
