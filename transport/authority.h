#pragma once

// authority.h - the cluster's certificate authority, and the credentials it gives out.
//
// One P-256 authority per cluster, made at the head's first start; its key never leaves the head.
// Certificates are valid for kCertificateDays; renewal over the live session and short lives come
// with a later version, until then a node or user is shut out by the head's own list.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "transport/identity.h"

namespace leat::transport {

// Seconds since 1970. Certificates, tokens and tickets cross machines, so they use wall time.
using WallSeconds = std::int64_t;

inline constexpr std::int64_t kCertificateDays = 365;
inline constexpr std::int64_t kAuthorityDays = 3650;
// Certificates are valid from this long before they were made, for hosts whose clocks differ.
inline constexpr std::int64_t kClockSkewSeconds = 600;
inline constexpr std::size_t kClusterIdLength = 16;

using Bytes = std::vector<std::byte>;

// What a party needs to prove who it is and to recognise the others.
struct Credentials {
  std::string certificate_pem;
  std::string key_pem;
  std::string authority_pem;  // the cluster's authority certificate
};

// A fresh key and the request (PKCS#10, DER) to have it certified. The key stays at home.
struct KeyAndRequest {
  std::string key_pem;
  Bytes request_der;
};

// 16 lower-case base32 characters (a-z, 2-7) from the system's random source.
std::string new_cluster_id();
bool is_cluster_id(std::string_view text);

KeyAndRequest make_key_and_request();

// One 0600 file "credentials.pem" in `dir` (see ensure_private_directory), replaced whole.
Result<Done> save_credentials(const std::string& dir, const Credentials& credentials);
// Refused: kNotFound if never saved; otherwise wrong owner or mode, not PEM, or parts that do not
// belong together.
Result<Credentials> load_credentials(const std::string& dir);

// Refused with the part named, unless key, certificate and authority belong together.
Result<Done> check_credentials(const Credentials& credentials);

// The cluster id that the authority's certificate names.
Result<std::string> cluster_id_of(const Credentials& credentials);

// Owns the authority's key in memory. Thread: any one.
class ClusterAuthority {
 public:
  // One that is kept nowhere and serves something short-lived.
  // Precondition: is_cluster_id(cluster_id).
  static ClusterAuthority make(const std::string& cluster_id, WallSeconds now);
  // Makes a new authority in `dir` (one 0600 file, "authority.pem"). Refused with kConflict if
  // one is there. Precondition: is_cluster_id(cluster_id).
  static Result<ClusterAuthority> create(const std::string& dir, const std::string& cluster_id,
                                         WallSeconds now);
  // Refused with kNotFound if there is none; with a clear line if the file is damaged, not ours,
  // or open to others.
  static Result<ClusterAuthority> load(const std::string& dir);

  ClusterAuthority(ClusterAuthority&&) noexcept;
  ClusterAuthority& operator=(ClusterAuthority&&) noexcept;
  ~ClusterAuthority();

  // A new key with its certificate. Valid from `now` for `days`.
  Credentials issue(const Peer& peer, WallSeconds now, std::int64_t days = kCertificateDays) const;

  // Certifies a request's key (P-256, signed by itself) for `peer`. The name comes from `peer`,
  // nothing but the key is taken from the request. Returns the certificate, PEM.
  Result<std::string> sign_request(std::span<const std::byte> request_der, const Peer& peer,
                                   WallSeconds now, std::int64_t days = kCertificateDays) const;

  const std::string& cluster_id() const;
  const std::string& certificate_pem() const;
  Bytes certificate_der() const;
  // SHA-256 of the certificate's DER form.
  std::array<std::byte, 32> fingerprint() const;

 private:
  struct Parts;
  explicit ClusterAuthority(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace leat::transport
