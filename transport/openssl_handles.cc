#include "transport/openssl_handles.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace leat::transport {
namespace {

BioHandle memory_bio(std::string_view text) {
  LEAT_CHECK(text.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  BioHandle bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  LEAT_CHECK(bio != nullptr);
  return bio;
}

std::string content_of(BIO& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// Without it OpenSSL would ask for an encrypted key's password on the terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

}  // namespace

OpensslScope::~OpensslScope() {
  ERR_clear_error();
}

void fill_random(std::span<std::byte> bytes) {
  LEAT_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()),
                        static_cast<int>(bytes.size())) == 1);
}

std::array<std::byte, 32> sha256(std::span<const std::byte> bytes) {
  std::array<std::byte, 32> hash{};
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

KeyHandle new_p256_key() {
  KeyHandle key(EVP_EC_gen("P-256"));
  LEAT_CHECK(key != nullptr);
  return key;
}

bool is_p256_key(const EVP_PKEY& key) {
  const OpensslScope scope;
  std::array<char, 64> group{};
  return EVP_PKEY_is_a(&key, "EC") == 1 &&
         EVP_PKEY_get_group_name(&key, group.data(), group.size(), nullptr) == 1 &&
         std::string_view(group.data()) == "prime256v1";
}

CertificateHandle certificate_from_pem(std::string_view pem) {
  const OpensslScope scope;
  const BioHandle bio = memory_bio(pem);
  return CertificateHandle(PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr));
}

KeyHandle key_from_pem(std::string_view pem) {
  const OpensslScope scope;
  const BioHandle bio = memory_bio(pem);
  return KeyHandle(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
}

CertificateHandle certificate_from_der(std::span<const std::byte> der) {
  const OpensslScope scope;
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const auto* end = at + der.size();
  CertificateHandle certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate != nullptr && at != end) certificate.reset();
  return certificate;
}

std::string to_pem(X509& certificate) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  LEAT_CHECK(bio != nullptr && PEM_write_bio_X509(bio.get(), &certificate) == 1);
  return content_of(*bio);
}

std::string to_pem(EVP_PKEY& key) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  LEAT_CHECK(bio != nullptr && PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0,
                                                             nullptr, nullptr) == 1);
  return content_of(*bio);
}

std::vector<std::byte> to_der(X509& certificate) {
  const int size = i2d_X509(&certificate, nullptr);
  LEAT_CHECK(size > 0);
  std::vector<std::byte> der(static_cast<std::size_t>(size));
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  LEAT_CHECK(i2d_X509(&certificate, &at) == size);
  return der;
}

std::string subject_common_name(const X509& certificate) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(text));
  std::string name(data, static_cast<std::size_t>(ASN1_STRING_length(text)));
  const bool plain =
      std::all_of(name.begin(), name.end(), [](char c) { return c > 32 && c < 127; });
  return plain ? name : std::string();
}

}  // namespace leat::transport
