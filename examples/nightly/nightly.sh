#!/bin/sh
# nightly.sh - what cron starts: the files of a day are checked and summed up, then reported on.
#
#   nightly.sh [DAY [WORD]]
#
# DAY is yesterday unless it is given. Started again for a DAY it makes no second batch, but waits
# for the first and ends as that did. With a WORD that was not used before it makes a new one: for
# a day whose files were mended.
#
# Exit codes are those of leat: 0 reports/DAY.txt is there, 1 a file was wrong or a report failed,
# 2 there is no file, 3 the head cannot be reached, 4 it refused, 124 after six hours not done.
set -eu
cd "$(dirname "$0")"
day=${1:-$(date -d yesterday +%F)}
key=nightly-$day${2:+-$2}
mkdir -p reports

# After a reboot nothing runs yet; at any other time this changes nothing. Whatever a good night
# prints would be mailed.
leat up --pool pool.toml > /dev/null

# What another try cannot mend fails at once; an upload that is late has three more chances.
ingest=$(leat submit --key "$key-ingest" --name "ingest-$day" --pool nightly \
  --each-file "inbox/$day/*.txt" --output-dir "summaries/$day" \
  --time 10m --retries 3 --retry-delay 5s,10,10m --retry-on 75,time-limit -- ./ingest {})

# Summaries are named after their job, so those of an earlier batch are not mistaken for these.
# As the result of a reduce the report outlives the nodes; a task's output may be lost with one.
report=$(leat submit --key "$key-report" --name "report-$day" --pool nightly \
  --after "$ingest" --time 5m --reduce cat -- ./report "summaries/$day" "$ingest")

leat wait "$report" --timeout 6h || {
  code=$?
  # cron mails what stands here; that it cannot be had must not hide the code.
  leat why "$report" >&2 || :
  leat logs "$ingest" --stderr --label >&2 || :
  exit $code
}
leat result "$report" --output "reports/$day.txt"
