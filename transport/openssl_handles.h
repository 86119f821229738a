#pragma once

// openssl_handles.h - owners for OpenSSL's objects, and the few conversions we need.
//
// Only for the sources of this folder. Every function leaves OpenSSL's error queue empty: kj-tls
// reads that queue after each of its own calls and would take our error for a broken connection.

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace leat::transport {

template <auto Free>
struct OpensslFree {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using BioHandle = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using KeyHandle = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using DigestHandle = std::unique_ptr<EVP_MD_CTX, OpensslFree<EVP_MD_CTX_free>>;
using CertificateHandle = std::unique_ptr<X509, OpensslFree<X509_free>>;
using RequestHandle = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using ExtensionHandle = std::unique_ptr<X509_EXTENSION, OpensslFree<X509_EXTENSION_free>>;
using NumberHandle = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;

// Empties the calling thread's OpenSSL error queue on leaving a scope.
class OpensslScope {
 public:
  OpensslScope() = default;
  ~OpensslScope();
  OpensslScope(const OpensslScope&) = delete;
  OpensslScope& operator=(const OpensslScope&) = delete;
};

// Fills `bytes` from the system's random source; dies if there is none.
void fill_random(std::span<std::byte> bytes);

std::array<std::byte, 32> sha256(std::span<const std::byte> bytes);

KeyHandle new_p256_key();
bool is_p256_key(const EVP_PKEY& key);

// Null unless the text holds exactly such a thing, unencrypted. Parsing ignores what surrounds it.
CertificateHandle certificate_from_pem(std::string_view pem);
KeyHandle key_from_pem(std::string_view pem);
// Null unless all of `der` is one certificate.
CertificateHandle certificate_from_der(std::span<const std::byte> der);

std::string to_pem(X509& certificate);
std::string to_pem(EVP_PKEY& key);
std::vector<std::byte> to_der(X509& certificate);

// The subject's one common name; empty if there is none, or several, or it is not plain ASCII.
std::string subject_common_name(const X509& certificate);

}  // namespace leat::transport
