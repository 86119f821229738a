#pragma once

// blob_upload.h - bytes of the caller's on their way to leat-store, named by content.

#include <kj/io.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "cli/command.h"
#include "cli/data_link.h"
#include "cli/head.h"
#include "transport/blob_client.h"

namespace leat::cli {

// Bytes that have no file of their own: kept in one without a name, which goes with the process.
class NamelessFile {
 public:
  // In the home's scratch directory. Throws Failure.
  explicit NamelessFile(const Home& home);

  void append(std::string_view bytes);
  // Once, at the end.
  transport::Blob finish();

  int fd() const { return fd_; }

 private:
  void flush();

  kj::AutoCloseFd fd_;
  transport::Sha256 sha256_;
  std::uint64_t length_ = 0;
  std::string buffer_;
};

// A table of offsets as agents read it: u64 little-endian each.
class OffsetTable {
 public:
  explicit OffsetTable(const Home& home) : file_(home) {}

  void add(std::uint64_t offset);
  transport::Blob finish() { return file_.finish(); }
  int fd() const { return file_.fd(); }

 private:
  NamelessFile file_;
};

// A file that is read once from front to end, and can then be uploaded. What can be read only once
// is copied meanwhile.
class InputFile {
 public:
  // "-": standard input. Throws Failure (kUsage): missing, a directory.
  InputFile(const Home& home, const Surroundings& surroundings, std::string path);

  // Hands on all of it, piece by piece. Throws what `visit` throws; Failure if it is over 1 TiB.
  transport::Blob read(const std::function<void(std::string_view)>& visit);

  // After read(): where the same bytes can be had again.
  int fd() const;

 private:
  std::string path_;
  kj::AutoCloseFd fd_;
  kj::Maybe<NamelessFile> copy_;
};

// To the store, unless it is there. Repeats while store or head are away. Borrows shell and head.
class Uploader {
 public:
  Uploader(Shell& shell, Head& head);

  // Throws Failure: kUsage if the bytes are not what `blob` says any more, kRefused if the store
  // has no room. `what` begins the line.
  void upload(int fd, const transport::Blob& blob, const std::string& what);

 private:
  Result<transport::Blob> attempt(int fd, const transport::Blob& blob);
  transport::BlobSource counted(int fd, std::uint64_t length);

  Shell& shell_;
  Head& head_;
  DataLink link_;
  transport::Backoff backoff_;
};

}  // namespace leat::cli
