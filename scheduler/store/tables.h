#pragma once

// tables.h - the tables of a store. docs/store.md says what they mean.

namespace leat::store {

// In the file's header: "LEAT".
inline constexpr unsigned kApplicationId = 0x4c454154;

// Format 1. Never changed: what came later is in kUpgrades. Checksums are CRC-32C over a row's
// bytes, seeded with where it belongs.
inline constexpr const char* kTables = R"sql(
CREATE TABLE head (
  name   TEXT PRIMARY KEY,
  value  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE fact (
  sequence  INTEGER PRIMARY KEY,
  checksum  INTEGER NOT NULL,
  turn      BLOB NOT NULL
);
CREATE TABLE snapshot (
  kind      INTEGER NOT NULL,
  id        INTEGER NOT NULL,
  part      INTEGER NOT NULL,
  sequence  INTEGER NOT NULL,
  checksum  INTEGER NOT NULL,
  row       BLOB,
  UNIQUE (kind, id, part, sequence)
);
CREATE TABLE job_history (
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  owner_uid     INTEGER NOT NULL,
  owner_host    TEXT NOT NULL,
  priority      INTEGER NOT NULL,
  submitted_us  INTEGER NOT NULL,
  started_us    INTEGER NOT NULL,
  ended_us      INTEGER NOT NULL,
  state         TEXT NOT NULL,
  tasks         INTEGER NOT NULL,
  succeeded     INTEGER NOT NULL,
  failed        INTEGER NOT NULL,
  cancelled     INTEGER NOT NULL,
  quarantined   INTEGER NOT NULL,
  skipped       INTEGER NOT NULL,
  retried       INTEGER NOT NULL,
  lost          INTEGER NOT NULL,
  summary       BLOB NOT NULL
);
CREATE TABLE run_history (
  job               INTEGER NOT NULL,
  stage             INTEGER NOT NULL,
  first             INTEGER NOT NULL,
  last              INTEGER NOT NULL,
  count             INTEGER NOT NULL,
  attempt           INTEGER NOT NULL,
  node              INTEGER NOT NULL,
  node_epoch        INTEGER NOT NULL,
  state             TEXT NOT NULL,
  outcome           TEXT,
  code              INTEGER,
  started_us        INTEGER NOT NULL,
  ended_us          INTEGER NOT NULL,
  wall_us_sum       INTEGER NOT NULL,
  cpu_us_sum        INTEGER NOT NULL,
  peak_kib_max      INTEGER NOT NULL,
  output_bytes_sum  INTEGER NOT NULL,
  runs              BLOB NOT NULL
);
CREATE INDEX run_by_task ON run_history (job, stage, first);
CREATE TABLE node_history (
  node        INTEGER NOT NULL,
  node_epoch  INTEGER NOT NULL,
  pool        INTEGER NOT NULL,
  event       TEXT NOT NULL,
  at_us       INTEGER NOT NULL,
  text        TEXT NOT NULL
);
CREATE INDEX node_by_id ON node_history (node);
CREATE TABLE action_history (
  action      TEXT NOT NULL,
  subject     INTEGER NOT NULL,
  at_us       INTEGER NOT NULL,
  actor_uid   INTEGER NOT NULL,
  actor_host  TEXT NOT NULL,
  text        TEXT NOT NULL
);
)sql";

// From each format to the next: run once, in one transaction, when the store is opened.
inline constexpr const char* kUpgrades[] = {
    // 2: what a node that is gone was bought for, and what it did.
    R"sql(
CREATE TABLE node_use (
  node          INTEGER NOT NULL,
  node_epoch    INTEGER NOT NULL,
  pool          INTEGER NOT NULL,
  pool_name     TEXT NOT NULL,
  requested_us  INTEGER NOT NULL,
  joined_us     INTEGER NOT NULL,
  gone_us       INTEGER NOT NULL,
  millicores    INTEGER NOT NULL,
  used_core_us  INTEGER NOT NULL,
  busy_us       INTEGER NOT NULL,
  why           TEXT NOT NULL
);
CREATE INDEX node_use_by_pool ON node_use (pool_name, gone_us);
)sql",
    // 3: the members of gangs, one by one; run_history has what came of all together.
    R"sql(
CREATE TABLE gang_history (
  job           INTEGER NOT NULL,
  stage         INTEGER NOT NULL,
  task          INTEGER NOT NULL,
  attempt       INTEGER NOT NULL,
  member        INTEGER NOT NULL,
  node          INTEGER NOT NULL,
  node_epoch    INTEGER NOT NULL,
  outcome       TEXT NOT NULL,
  code          INTEGER NOT NULL,
  started_us    INTEGER NOT NULL,
  ended_us      INTEGER NOT NULL,
  cpu_us        INTEGER NOT NULL,
  peak_kib      INTEGER NOT NULL,
  output_bytes  INTEGER NOT NULL
);
CREATE INDEX gang_by_task ON gang_history (job, stage, task, attempt);
)sql",
};

}  // namespace leat::store
