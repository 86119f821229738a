#pragma once

// certificate_dates.h - until when a certificate is good.

#include <string_view>

#include "base/result.h"
#include "transport/authority.h"

namespace leat::transport {

// The last second at which the first certificate in `pem` is valid. Refused if there is none.
Result<WallSeconds> certificate_end(std::string_view pem);

}  // namespace leat::transport
