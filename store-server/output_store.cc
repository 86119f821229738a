#include "store-server/output_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "store-server/sync_directory.h"
#include "transport/secret_file.h"

namespace leat::blobs {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPart = ".part";
constexpr std::string_view kGone = ".gone";
constexpr const char* kIndexName = "index.log";

std::string text_of(NodeRef node) {
  return std::to_string(node.id.value) + "-" + std::to_string(node.epoch.value);
}

// "3-17.part" -> (3-17, ".part").
std::optional<std::pair<NodeRef, std::string>> parse(const std::string& name) {
  NodeRef node;
  const char* const end = name.data() + name.size();
  const auto id = std::from_chars(name.data(), end, node.id.value);
  if (id.ec != std::errc() || id.ptr == end || *id.ptr != '-') return std::nullopt;
  const auto epoch = std::from_chars(id.ptr + 1, end, node.epoch.value);
  if (epoch.ec != std::errc()) return std::nullopt;
  const std::string ending(epoch.ptr, end);
  if (text_of(node) + ending != name) return std::nullopt;
  if (!ending.empty() && ending != kPart && ending != kGone) return std::nullopt;
  return std::pair(node, ending);
}

bool is_spool_name(const std::string& name) {
  if (name == kIndexName) return true;
  unsigned slot = 0;
  unsigned segment = 0;
  char ending[4] = {};
  // NOLINTNEXTLINE(cert-err34-c): proved by putting it together again
  if (std::sscanf(name.c_str(), "slot-%u.%u.%3s", &slot, &segment, ending) != 3) return false;
  if (slot > 0xffff) return false;
  for (const spool::Stream stream : {spool::Stream::kOutput, spool::Stream::kError})
    if (spool::file_name({static_cast<std::uint16_t>(slot), segment, stream}) == name) return true;
  return false;
}

Refusal path_refusal(const std::string& path, int error) {
  return {Reason::kOverloaded, "leat-store: " + path + ": " + std::strerror(error)};
}

}  // namespace

std::uint64_t OutputStore::Spool::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, length] : files) sum += length;
  return sum;
}

Result<std::unique_ptr<OutputStore>> OutputStore::open(const std::string& directory, Room& room) {
  const Result<Done> made = transport::ensure_private_directory(directory);
  if (!made.ok()) return made.refusal();
  std::unique_ptr<OutputStore> store(new OutputStore(directory, room));
  const Result<Done> scanned = store->scan();
  if (!scanned.ok()) return scanned.refusal();
  return store;
}

Result<Done> OutputStore::scan() {
  std::error_code error;
  std::vector<std::tuple<fs::file_time_type, NodeRef>> whole;
  std::vector<NodeRef> gone;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    const auto parsed = parse(at->path().filename().string());
    if (!parsed) continue;
    const auto& [node, ending] = *parsed;
    if (ending == kGone) {
      gone.push_back(node);
      continue;
    }
    Spool& spool = spools_[node];
    spool.whole = ending.empty();
    std::error_code inner;
    for (const auto& file : fs::directory_iterator(at->path(), inner))
      spool.files[file.path().filename().string()] = file.file_size(inner);
    if (spool.whole) whole.emplace_back(fs::last_write_time(at->path(), inner), node);
  }
  if (error) return invalid("cannot read " + directory_ + ": " + error.message());
  // A deletion that was begun is ended.
  for (const NodeRef node : gone) {
    fs::remove_all(path_of(node, ""), error);
    spools_.erase(node);
    std::erase_if(whole, [node](const auto& entry) { return std::get<1>(entry) == node; });
  }
  std::sort(whole.begin(), whole.end());
  for (const auto& [time, node] : whole) spools_.at(node).age = ++clock_;
  room_.add(bytes());
  return Done{};
}

std::string OutputStore::path_of(NodeRef node, const char* ending) const {
  return directory_ + "/" + text_of(node) + ending;
}

std::uint64_t OutputStore::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [node, spool] : spools_) sum += spool.bytes();
  return sum;
}

Result<std::string> OutputStore::place_for(NodeRef node, const std::string& name) {
  if (!is_spool_name(name)) return invalid("no file of a spool is named so");
  const std::string part = path_of(node, ".part");
  const auto known = spools_.find(node);
  if (known != spools_.end() && known->second.files.size() >= kFilesMax)
    return invalid("more than " + std::to_string(kFilesMax) + " files in one spool");
  if (known != spools_.end() && known->second.whole) {
    // The node went on after all, and brings what came since.
    open_.erase(node);
    if (::rename(path_of(node, "").c_str(), part.c_str()) != 0) return path_refusal(part, errno);
    known->second.whole = false;
  } else if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) {
    return path_refusal(part, errno);
  }
  spools_.try_emplace(node);
  return part + "/" + name;
}

void OutputStore::note(NodeRef node, const SpoolFile& file) {
  std::uint64_t& length = spools_[node].files[file.name];
  room_.remove(length);
  room_.add(file.length);
  length = file.length;
}

std::vector<SpoolFile> OutputStore::files(NodeRef node) const {
  std::vector<SpoolFile> files;
  const auto spool = spools_.find(node);
  if (spool == spools_.end()) return files;
  for (const auto& [name, length] : spool->second.files) files.push_back({name, length});
  return files;
}

// Files of an earlier try, that the node has deleted since.
void OutputStore::drop_others(NodeRef node, Spool& spool, const std::vector<SpoolFile>& wanted) {
  for (auto at = spool.files.begin(); at != spool.files.end();) {
    const bool is_wanted = std::any_of(wanted.begin(), wanted.end(), [&at](const SpoolFile& file) {
      return file.name == at->first;
    });
    if (is_wanted) {
      ++at;
      continue;
    }
    ::unlink((path_of(node, ".part") + "/" + at->first).c_str());
    room_.remove(at->second);
    at = spool.files.erase(at);
  }
}

Result<Done> OutputStore::keep(NodeRef node, std::vector<SpoolFile> wanted) {
  const auto spool = spools_.find(node);
  const auto missing = [&](const SpoolFile& file) {
    const auto at = spool->second.files.find(file.name);
    return at == spool->second.files.end() || at->second != file.length;
  };
  if (wanted.empty() || spool == spools_.end() ||
      std::any_of(wanted.begin(), wanted.end(), missing))
    return Refusal{Reason::kConflict, "not all of the files have come that are to be kept"};
  if (spool->second.whole) return Done{};
  drop_others(node, spool->second, wanted);
  const std::string path = path_of(node, "");
  ::unlink(path_of(node, ".gone").c_str());
  if (::rename(path_of(node, ".part").c_str(), path.c_str()) != 0) return path_refusal(path, errno);
  spool->second.whole = true;
  spool->second.age = ++clock_;
  const int error = sync_directory(directory_);
  return error == 0 ? Result<Done>(Done{}) : path_refusal(directory_, error);
}

Result<OutputStore::Open*> OutputStore::open_spool(NodeRef node) {
  auto found = open_.find(node);
  if (found == open_.end()) {
    const std::string path = path_of(node, "");
    Result<spool::SpoolIndex> index = spool::SpoolIndex::open(path);
    if (!index.ok()) return index.refusal();
    if (open_.size() >= kOpenMax) {
      const auto oldest = std::min_element(
          open_.begin(), open_.end(),
          [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
      open_.erase(oldest);
    }
    found = open_
                .emplace(node, Open{std::move(index).value(),
                                    std::make_unique<spool::SpoolReader>(path), 0})
                .first;
  }
  found->second.used = ++clock_;
  return &found->second;
}

Result<OutputStore::Piece> OutputStore::read(NodeRef node, const RunId& run, spool::Stream stream,
                                             std::uint64_t offset, std::uint64_t length) {
  const auto known = spools_.find(node);
  if (known == spools_.end() || !known->second.whole) {
    struct stat status {};
    const bool deleted = ::lstat(path_of(node, ".gone").c_str(), &status) == 0;
    const std::string who = "node " + std::to_string(node.id.value);
    if (deleted)
      return Refusal{Reason::kNotFound,
                     "output deleted: leat-store needed the room that the "
                     "output of " +
                         who + " took"};
    return Refusal{Reason::kNotFound, "leat-store has no output of " + who};
  }
  const Result<Open*> open = open_spool(node);
  if (!open.ok()) return open.refusal();
  const std::optional<spool::RunPlace> place = open.value()->index.find(run);
  if (!place)
    return Refusal{Reason::kNotFound,
                   "leat-store has no output of this run: its node had deleted "
                   "it to make room, or it never ended there"};
  const bool is_error = stream == spool::Stream::kError;
  const spool::StreamRange& range = is_error ? place->error : place->output;
  Piece piece{{}, range.length, range.truncated};
  if (offset >= range.length) return piece;
  piece.data.resize(std::min(length, range.length - offset));
  const Result<std::size_t> n =
      open.value()->reader->read({place->slot, place->segment, stream}, range.offset + offset,
                                 std::as_writable_bytes(std::span(piece.data)));
  if (!n.ok()) return n.refusal();
  if (n.value() != piece.data.size())
    return Refusal{Reason::kNotFound, "a file of the spool is shorter than its index says"};
  return piece;
}

std::optional<std::uint64_t> OutputStore::evict() {
  auto oldest = spools_.end();
  for (auto at = spools_.begin(); at != spools_.end(); ++at)
    if (at->second.whole && (oldest == spools_.end() || at->second.age < oldest->second.age))
      oldest = at;
  if (oldest == spools_.end()) return std::nullopt;
  const NodeRef node = oldest->first;
  const std::uint64_t bytes = oldest->second.bytes();
  open_.erase(node);
  spools_.erase(oldest);
  remember_gone(node);
  std::error_code error;
  fs::remove_all(path_of(node, ""), error);
  return bytes;
}

// Said before the first file goes: a crash in between ends with the deletion, not with half a
// spool.
void OutputStore::remember_gone(NodeRef node) {
  const std::string path = path_of(node, ".gone");
  const int raw = ::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (raw >= 0) ::close(raw);
  (void)sync_directory(directory_);
  std::vector<NodeRef> gone;
  std::error_code error;
  for (fs::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    const auto parsed = parse(at->path().filename().string());
    if (parsed && parsed->second == kGone) gone.push_back(parsed->first);
  }
  if (gone.size() <= kGoneKept) return;
  ::unlink(path_of(*std::min_element(gone.begin(), gone.end()), ".gone").c_str());
}

}  // namespace leat::blobs
