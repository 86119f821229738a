#include "scheduler/store/place.h"

#include <fcntl.h>
#include <kj/io.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace leat::store {
namespace {

constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr std::size_t kHeaderBytes = 100;
constexpr std::size_t kVersionAt = 60;
constexpr std::size_t kApplicationAt = 68;

// Where SQLite puts its locks (its file format, §"locking").
constexpr off_t kLockAt = 0x40000000;
constexpr off_t kLockBytes = 512;

struct FileSystem {
  std::uint32_t magic;
  const char* name;
};
// Locks and syncs of these are not what a store can rest on.
constexpr std::array kNetworkFileSystems{
    FileSystem{0x6969, "NFS"},       FileSystem{0x0bd00bd0, "Lustre"},
    FileSystem{0x47504653, "GPFS"},  FileSystem{0x19830326, "BeeGFS"},
    FileSystem{0xff534d42, "CIFS"},  FileSystem{0xfe534d42, "SMB"},
    FileSystem{0x00c36400, "Ceph"},  FileSystem{0x5346414f, "AFS"},
    FileSystem{0x01161970, "GFS2"},  FileSystem{0x7461636f, "OCFS2"},
    FileSystem{0xaad7aaea, "PanFS"},
};

Refusal refused(const std::string& path, const std::string& why) {
  return invalid("store " + path + ": " + why);
}

Refusal failed(const std::string& path, const char* what, int error) {
  return refused(path, std::string(what) + ": " + std::strerror(error));
}

std::uint32_t big_endian(const unsigned char* at) {
  return (std::uint32_t{at[0]} << 24) | (std::uint32_t{at[1]} << 16) | (std::uint32_t{at[2]} << 8) |
         at[3];
}

std::optional<Refusal> check_file_system(int fd, const std::string& path) {
  struct statfs found {};
  if (::fstatfs(fd, &found) != 0) return failed(path, "statfs", errno);
  const auto magic = static_cast<std::uint32_t>(found.f_type);
  const auto* at = std::find_if(kNetworkFileSystems.begin(), kNetworkFileSystems.end(),
                                [magic](const FileSystem& known) { return known.magic == magic; });
  if (at == kNetworkFileSystems.end()) return std::nullopt;
  return refused(path, std::string("it is on ") + at->name +
                           ", a network file system, which does not keep what it is told; choose "
                           "a local directory with --home or LEAT_HOME");
}

std::optional<Refusal> check_owner(int fd, const std::string& path) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return failed(path, "stat", errno);
  if (!S_ISREG(found.st_mode)) return refused(path, "it is not a plain file");
  if (found.st_uid != ::geteuid())
    return refused(path, "it belongs to uid " + std::to_string(found.st_uid) + ", not to you");
  if ((found.st_mode & 077) != 0)
    return refused(path, "others may read or write it; say chmod 600 if that was no accident");
  if (found.st_nlink != 1) return refused(path, "it has a second name (hard link)");
  return std::nullopt;
}

// Reads SQLite's header, which is written when the store is made and then never moves.
std::optional<Refusal> check_header(int fd, const std::string& path, std::uint32_t application_id,
                                    std::uint32_t version, bool& fresh) {
  std::array<unsigned char, kHeaderBytes> header{};
  const ssize_t got = ::pread(fd, header.data(), header.size(), 0);
  if (got < 0) return failed(path, "read", errno);
  fresh = got == 0;
  if (fresh) return std::nullopt;
  const bool whole = static_cast<std::size_t>(got) == header.size();
  if (!whole || std::memcmp(header.data(), kMagic.data(), kMagic.size()) != 0)
    return refused(path, "it is not a store of leat, or its first page is damaged");
  if (big_endian(&header[kApplicationAt]) != application_id)
    return refused(path, "it is a database, but not a store of leat");
  const std::uint32_t found = big_endian(&header[kVersionAt]);
  if (found > version)
    return refused(path, "it is from a newer version (format " + std::to_string(found) +
                             "; this program reads up to " + std::to_string(version) +
                             "): use that version, or a copy made before the upgrade");
  if (found == 0) return refused(path, "it says that its format is 0: its first page is damaged");
  return std::nullopt;
}

}  // namespace

Result<Place> inspect(const std::string& path, std::uint32_t application_id,
                      std::uint32_t version) {
  Place place;
  // SQLite is told to follow no link at all, so links in the folders are resolved here.
  std::error_code error;
  const std::filesystem::path given(path);
  const std::filesystem::path folder = std::filesystem::canonical(
      given.has_parent_path() ? given.parent_path() : std::filesystem::path("."), error);
  if (error) return refused(path, "its directory: " + error.message());
  place.path = (folder / given.filename()).string();

  int fd = ::open(place.path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0 && errno == ELOOP) return refused(path, "it is a symbolic link");
  if (fd < 0) return failed(path, "open", errno);
  const kj::AutoCloseFd file(fd);
  if (auto refusal = check_owner(fd, path)) return *refusal;
  if (auto refusal = check_file_system(fd, path)) return *refusal;
  if (auto refusal = check_header(fd, path, application_id, version, place.fresh)) return *refusal;
  return place;
}

std::optional<std::int64_t> lock_holder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const kj::AutoCloseFd file(fd);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kLockAt;
  lock.l_len = kLockBytes;
  if (::fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK || lock.l_pid <= 0)
    return std::nullopt;
  return lock.l_pid;
}

}  // namespace leat::store
