// result.cc - `leat result`: what a job's reduce made, proved by its hash.

#include <fcntl.h>
#include <kj/debug.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <span>
#include <string_view>

#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/follow.h"
#include "cli/head.h"
#include "transport/blob_client.h"

namespace leat::cli {
namespace {

constexpr Duration kStorePatience = std::chrono::seconds(20);

// A file that appears under its name when it is whole.
class OutputFile {
 public:
  explicit OutputFile(std::string path) : path_(std::move(path)), partial_(path_ + ".XXXXXX") {
    const int fd = ::mkostemp(partial_.data(), O_CLOEXEC);
    if (fd < 0) fail(ExitCode::kUsage, path_ + ": " + std::strerror(errno));
    fd_ = kj::AutoCloseFd(fd);
  }

  ~OutputFile() {
    if (!partial_.empty()) ::unlink(partial_.c_str());
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(ExitCode::kWorkFailed, path_ + ": " + std::strerror(errno));
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
  }

  void keep() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    const bool kept = ::fchmod(fd_, 0666 & ~mask) == 0 && ::fsync(fd_) == 0 &&
                      ::rename(partial_.c_str(), path_.c_str()) == 0;
    if (!kept) fail(ExitCode::kWorkFailed, path_ + ": " + std::strerror(errno));
    partial_.clear();
  }

 private:
  std::string path_;
  std::string partial_;
  kj::AutoCloseFd fd_;
};

// Passes a blob on, once, although it may take several attempts to read it. Borrows both.
class ResultSink {
 public:
  ResultSink(Console& console, OutputFile* file) : console_(console), file_(file) {}

  // An attempt starts at the blob's first byte.
  void begin() { seen_ = 0; }

  kj::Promise<void> take(kj::ArrayPtr<const kj::byte> bytes) {
    const std::uint64_t known = std::min<std::uint64_t>(bytes.size(), passed_ - seen_);
    const std::string_view fresh =
        std::string_view(bytes.asChars().begin(), bytes.size()).substr(known);
    seen_ += known;
    try {
      file_ == nullptr ? console_.out(fresh) : file_->write(fresh);
    } catch (...) {
      // Ours must not pass through promises: rethrow() throws it after them.
      caught_ = std::current_exception();
      return KJ_EXCEPTION(FAILED, "the output cannot be written");
    }
    passed_ += fresh.size();
    seen_ += fresh.size();
    return kj::READY_NOW;
  }

  void rethrow() const {
    if (caught_) std::rethrow_exception(caught_);
  }

 private:
  Console& console_;
  OutputFile* file_;
  std::uint64_t passed_ = 0;  // bytes written out
  std::uint64_t seen_ = 0;    // bytes that came in this attempt; never more than passed_
  std::exception_ptr caught_;
};

class ResultCommand final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("JOB", job_, "the job's number, or last");
    arguments.option("--output", "FILE", output_,
                     "write it to FILE, which appears when it is whole");
  }

  ExitCode run(Shell& shell) override {
    const TaskName name = value_or_fail(parse_job(*job_));
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    const JobId job = resolve_job(head, name);
    const auto answer = head.ask([&job](schema::Scheduler::Client& client) {
      auto call = client.resultRequest();
      call.setJob(job.value);
      return call.send();
    });
    const schema::ResultResult::Reader result = answer;
    if (result.isRefusal()) explain_none(head, job, read_refusal(result.getRefusal()));
    fetch(shell, result.getPlace());
    return ExitCode::kDone;
  }

 private:
  // A job that exists and has no result (yet) is an outcome, not a wrong question.
  [[noreturn]] static void explain_none(Head& head, JobId job, const Refusal& refusal) {
    if (refusal.reason == Reason::kOverloaded) fail(refusal);
    const JobView view = ask_job(head, job);
    const std::string id = std::to_string(job.value);
    if (!view.has_ended())
      fail(ExitCode::kWorkFailed, "job " + id + " has not ended: leat wait " + id + " first");
    if (!view.has_succeeded())
      fail(ExitCode::kWorkFailed, "job " + id + ' ' + job_state_name(view.state) +
                                      " and has no result: leat job show " + id + " tells why");
    if (!view.has_result)
      fail(ExitCode::kWorkFailed, "job " + id + " has no result, it was submitted without " +
                                      "--reduce: leat logs " + id + ".INDEX has each output");
    fail(ExitCode::kWorkFailed, refusal.message);
  }

  void fetch(Shell& shell, schema::ResultResult::Place::Reader place) const {
    const capnp::Data::Reader hash = place.getBlob().getHash();
    const transport::Blob blob{
        value_or_fail(
            transport::hash_from_bytes(std::as_bytes(std::span(hash.begin(), hash.size()))),
            "result: "),
        place.getBlob().getLength()};
    const std::string ticket(place.getTicket().asChars().begin(), place.getTicket().size());
    std::optional<OutputFile> file;
    if (output_) file.emplace(*output_);
    ResultSink sink(shell.console, file ? &*file : nullptr);

    kj::Timer& timer = shell.io.provider->getTimer();
    transport::Backoff backoff{Random(shell.surroundings.fresh_seed)};
    const kj::TimePoint give_up = timer.now() + transport::to_kj(kStorePatience);
    DataLink link(shell);
    for (;;) {
      Result<Done> done = Refusal{Reason::kDisconnected, "does not answer: see leat status"};
      kj::Maybe<schema::BlobServer::Client> found = link.to_store(place.getAddress().cStr());
      KJ_IF_MAYBE (store, found) {
        sink.begin();
        done =
            transport::get_blob(*store, ticket, blob, [&sink](kj::ArrayPtr<const kj::byte> bytes) {
              return sink.take(bytes);
            }).wait(shell.io.waitScope);
      }
      sink.rethrow();
      if (done.ok()) break;
      if (done.refusal().reason != Reason::kDisconnected)
        fail(ExitCode::kWorkFailed, "leat-store: " + done.refusal().message);
      if (timer.now() >= give_up) fail(done.refusal(), "leat-store: ");
      timer.afterDelay(transport::to_kj(backoff.next())).wait(shell.io.waitScope);
    }
    if (file) file->keep();
  }

  std::optional<std::string> job_, output_;
};

constexpr std::string_view kResultDetails =
    R"(Prints the result of a job that was submitted with --reduce, byte for byte, as
leat-store keeps it. Its SHA-256 is verified.

  leat result last
  leat result 17 --output totals.txt)";

}  // namespace

const CommandEntry kResult{"result", "print what a job's reduce made", kResultDetails,
                           build_command<ResultCommand>};

}  // namespace leat::cli
