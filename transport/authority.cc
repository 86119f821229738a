#include "transport/authority.h"

#include <openssl/bn.h>

#include <utility>

#include "base/check.h"
#include "transport/openssl_handles.h"
#include "transport/secret_file.h"

namespace leat::transport {
namespace {

constexpr std::int64_t kDaySeconds = 86400;

std::string authority_path(const std::string& dir) {
  return dir + "/authority.pem";
}

void add_extension(X509& certificate, X509& issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, &issuer, &certificate, nullptr, nullptr, 0);
  const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  LEAT_CHECK(extension != nullptr && X509_add_ext(&certificate, extension.get(), -1) == 1);
}

// Everything but issuer, extensions and signature.
CertificateHandle blank_certificate(const std::string& name, EVP_PKEY& key, WallSeconds now,
                                    std::int64_t days) {
  CertificateHandle certificate(X509_new());
  LEAT_CHECK(certificate != nullptr && X509_set_version(certificate.get(), 2) == 1);

  std::array<std::byte, 16> serial;
  fill_random(serial);
  serial[0] = (serial[0] & std::byte{0x7f}) | std::byte{0x40};  // positive, and of one length
  const NumberHandle number(BN_bin2bn(reinterpret_cast<const unsigned char*>(serial.data()),
                                      static_cast<int>(serial.size()), nullptr));
  LEAT_CHECK(number != nullptr &&
             BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate.get())) != nullptr);

  LEAT_CHECK(ASN1_TIME_set(X509_getm_notBefore(certificate.get()), now - kClockSkewSeconds) !=
             nullptr);
  LEAT_CHECK(ASN1_TIME_set(X509_getm_notAfter(certificate.get()), now + days * kDaySeconds) !=
             nullptr);
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  LEAT_CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                        reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                                        -1, 0) == 1);
  LEAT_CHECK(X509_set_pubkey(certificate.get(), &key) == 1);
  return certificate;
}

// "DNS:…,DNS:…", or nothing for those who serve nothing.
std::string alternative_names(const Peer& peer, const std::string& cluster_id) {
  if (peer.kind == Peer::Kind::kUser) return {};
  std::string names = "DNS:" + server_name(peer.kind, cluster_id);
  if (peer.kind == Peer::Kind::kAgent) names += ",DNS:" + agent_server_name(peer.node, cluster_id);
  return names;
}

}  // namespace

struct ClusterAuthority::Parts {
  std::string cluster_id;
  std::string certificate_pem;
  CertificateHandle certificate;
  KeyHandle key;

  std::string certify(EVP_PKEY& subject_key, const Peer& peer, WallSeconds now,
                      std::int64_t days) const;
};

std::string ClusterAuthority::Parts::certify(EVP_PKEY& subject_key, const Peer& peer,
                                             WallSeconds now, std::int64_t days) const {
  const OpensslScope scope;
  const CertificateHandle made = blank_certificate(common_name(peer), subject_key, now, days);
  LEAT_CHECK(X509_set_issuer_name(made.get(), X509_get_subject_name(certificate.get())) == 1);
  add_extension(*made, *certificate, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(*made, *certificate, NID_key_usage, "critical,digitalSignature");
  const std::string names = alternative_names(peer, cluster_id);
  // Users serve nothing, so no client may ever take one for a server.
  add_extension(*made, *certificate, NID_ext_key_usage,
                names.empty() ? "clientAuth" : "serverAuth,clientAuth");
  if (!names.empty()) add_extension(*made, *certificate, NID_subject_alt_name, names);
  LEAT_CHECK(X509_sign(made.get(), key.get(), EVP_sha256()) > 0);
  return to_pem(*made);
}

ClusterAuthority::ClusterAuthority(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ClusterAuthority::ClusterAuthority(ClusterAuthority&&) noexcept = default;
ClusterAuthority& ClusterAuthority::operator=(ClusterAuthority&&) noexcept = default;
ClusterAuthority::~ClusterAuthority() = default;

ClusterAuthority ClusterAuthority::make(const std::string& cluster_id, WallSeconds now) {
  LEAT_CHECK(is_cluster_id(cluster_id));
  const OpensslScope scope;
  auto parts = std::make_unique<Parts>();
  parts->cluster_id = cluster_id;
  parts->key = new_p256_key();
  parts->certificate =
      blank_certificate("leat-cluster:" + cluster_id, *parts->key, now, kAuthorityDays);
  X509& certificate = *parts->certificate;
  LEAT_CHECK(X509_set_issuer_name(&certificate, X509_get_subject_name(&certificate)) == 1);
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign");
  LEAT_CHECK(X509_sign(&certificate, parts->key.get(), EVP_sha256()) > 0);
  parts->certificate_pem = to_pem(certificate);
  return ClusterAuthority(std::move(parts));
}

Result<ClusterAuthority> ClusterAuthority::create(const std::string& dir,
                                                  const std::string& cluster_id, WallSeconds now) {
  const ClusterAuthority made = make(cluster_id, now);
  const Result<Done> private_dir = ensure_private_directory(dir);
  if (!private_dir.ok()) return private_dir.refusal();
  // One file, so that no crash can leave a key without its certificate.
  const Result<Done> written =
      write_secret_file(authority_path(dir), to_pem(*made.parts_->key) + made.certificate_pem());
  if (!written.ok()) return written.refusal();
  return load(dir);
}

Result<ClusterAuthority> ClusterAuthority::load(const std::string& dir) {
  const OpensslScope scope;
  const std::string path = authority_path(dir);
  const Result<std::string> content = read_secret_file(path);
  if (!content.ok()) return content.refusal();

  auto parts = std::make_unique<Parts>();
  parts->key = key_from_pem(content.value());
  parts->certificate = certificate_from_pem(content.value());
  if (parts->key == nullptr || parts->certificate == nullptr ||
      X509_check_private_key(parts->certificate.get(), parts->key.get()) != 1)
    return invalid(path + ": damaged: holds no authority certificate with its key");
  parts->certificate_pem = to_pem(*parts->certificate);
  const Result<std::string> id = cluster_id_of({"", "", parts->certificate_pem});
  if (!id.ok()) return invalid(path + ": " + id.refusal().message);
  parts->cluster_id = id.value();
  return ClusterAuthority(std::move(parts));
}

Credentials ClusterAuthority::issue(const Peer& peer, WallSeconds now, std::int64_t days) const {
  const KeyHandle key = new_p256_key();
  return {parts_->certify(*key, peer, now, days), to_pem(*key), parts_->certificate_pem};
}

Result<std::string> ClusterAuthority::sign_request(std::span<const std::byte> request_der,
                                                   const Peer& peer, WallSeconds now,
                                                   std::int64_t days) const {
  const OpensslScope scope;
  const auto* at = reinterpret_cast<const unsigned char*>(request_der.data());
  const auto* end = at + request_der.size();
  const RequestHandle request(d2i_X509_REQ(nullptr, &at, static_cast<long>(request_der.size())));
  if (request == nullptr || at != end) return invalid("the certificate request cannot be read");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || !is_p256_key(*key))
    return invalid("the certificate request's key is not P-256");
  // Proof that the requester holds the key it wants certified.
  if (X509_REQ_verify(request.get(), key) != 1)
    return invalid("the certificate request is not signed by its key");
  return parts_->certify(*key, peer, now, days);
}

const std::string& ClusterAuthority::cluster_id() const {
  return parts_->cluster_id;
}

const std::string& ClusterAuthority::certificate_pem() const {
  return parts_->certificate_pem;
}

Bytes ClusterAuthority::certificate_der() const {
  return to_der(*parts_->certificate);
}

std::array<std::byte, 32> ClusterAuthority::fingerprint() const {
  return sha256(certificate_der());
}

}  // namespace leat::transport
