#include "transport/certificate_dates.h"

#include <ctime>

#include "transport/openssl_handles.h"

namespace leat::transport {

Result<WallSeconds> certificate_end(std::string_view pem) {
  const OpensslScope scope;
  const CertificateHandle certificate = certificate_from_pem(pem);
  if (!certificate) return invalid("there is no certificate in it");
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &parts) != 1)
    return invalid("the certificate has no end that can be read");
  return WallSeconds{::timegm(&parts)};
}

}  // namespace leat::transport
