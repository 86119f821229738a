// credentials.cc - the part of authority.h that needs no authority: keys, requests, files.

#include <openssl/pem.h>

#include <algorithm>

#include "base/check.h"
#include "transport/authority.h"
#include "transport/openssl_handles.h"
#include "transport/secret_file.h"

namespace leat::transport {
namespace {

constexpr std::string_view kBase32 = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view kAuthorityPrefix = "leat-cluster:";

std::string credentials_path(const std::string& dir) {
  return dir + "/credentials.pem";
}

// Cuts the next PEM block off the front of `text`; empty if there is none.
std::string take_pem_block(std::string_view& text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  constexpr std::string_view kEnd = "\n-----END ";
  const std::size_t begin = text.find(kBegin);
  if (begin == std::string_view::npos) return {};
  const std::size_t end = text.find(kEnd, begin);
  if (end == std::string_view::npos) return {};
  const std::size_t line_end = std::min(text.find('\n', end + 1), text.size() - 1);
  const std::string block(text.substr(begin, line_end + 1 - begin));
  text.remove_prefix(line_end + 1);
  return block;
}

}  // namespace

std::string new_cluster_id() {
  std::array<std::byte, kClusterIdLength> random;
  fill_random(random);
  std::string id;
  for (const std::byte b : random) id += kBase32[std::to_integer<std::size_t>(b) % kBase32.size()];
  return id;
}

bool is_cluster_id(std::string_view text) {
  return text.size() == kClusterIdLength && text.find_first_not_of(kBase32) == text.npos;
}

KeyAndRequest make_key_and_request() {
  const OpensslScope scope;
  const KeyHandle key = new_p256_key();
  const RequestHandle request(X509_REQ_new());
  LEAT_CHECK(request != nullptr && X509_REQ_set_version(request.get(), 0) == 1 &&
             X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
             X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0);
  const int size = i2d_X509_REQ(request.get(), nullptr);
  LEAT_CHECK(size > 0);
  Bytes der(static_cast<std::size_t>(size));
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  LEAT_CHECK(i2d_X509_REQ(request.get(), &at) == size);
  return {to_pem(*key), std::move(der)};
}

Result<Done> check_credentials(const Credentials& credentials) {
  const OpensslScope scope;
  const CertificateHandle certificate = certificate_from_pem(credentials.certificate_pem);
  if (certificate == nullptr) return invalid("the certificate cannot be read");
  const KeyHandle key = key_from_pem(credentials.key_pem);
  if (key == nullptr) return invalid("the private key cannot be read");
  const CertificateHandle authority = certificate_from_pem(credentials.authority_pem);
  if (authority == nullptr) return invalid("the authority's certificate cannot be read");

  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    return invalid("the private key does not belong to the certificate");
  if (X509_verify(certificate.get(), X509_get0_pubkey(authority.get())) != 1)
    return invalid("the certificate was not signed by this authority");
  const Result<Peer> peer = parse_common_name(subject_common_name(*certificate));
  if (!peer.ok()) return peer.refusal();
  const Result<std::string> id = cluster_id_of(credentials);
  if (!id.ok()) return id.refusal();
  return Done{};
}

Result<std::string> cluster_id_of(const Credentials& credentials) {
  const CertificateHandle authority = certificate_from_pem(credentials.authority_pem);
  if (authority == nullptr) return invalid("the authority's certificate cannot be read");
  std::string name = subject_common_name(*authority);
  if (!name.starts_with(kAuthorityPrefix)) return invalid("not a Leat cluster's authority");
  name.erase(0, kAuthorityPrefix.size());
  if (!is_cluster_id(name)) return invalid("the authority's certificate names no cluster");
  return name;
}

Result<Done> save_credentials(const std::string& dir, const Credentials& credentials) {
  return replace_secret_file(
      credentials_path(dir),
      credentials.key_pem + credentials.certificate_pem + credentials.authority_pem);
}

Result<Credentials> load_credentials(const std::string& dir) {
  const std::string path = credentials_path(dir);
  Result<std::string> content = read_secret_file(path);
  if (!content.ok()) return content.refusal();
  std::string_view rest = content.value();
  Credentials credentials;
  credentials.key_pem = take_pem_block(rest);
  credentials.certificate_pem = take_pem_block(rest);
  credentials.authority_pem = take_pem_block(rest);
  const Result<Done> sound = check_credentials(credentials);
  if (!sound.ok()) return invalid(path + ": " + sound.refusal().message);
  return credentials;
}

}  // namespace leat::transport
