@0xc1f0e6a4f3d2b871;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("leat::transport::test");

interface Echo {
  # What the tests of sessions call.

  echo @0 (data :Data) -> (data :Data);
  # Answers at once.

  hold @1 (data :Data) -> ();
  # Answers when the test says so.

  count @2 () -> (calls :UInt32);
  # How many hold() calls have arrived.
}
