#include "cli/line_index.h"

namespace leat::cli {

void LineIndex::feed(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (at_line_start_) {
      if (lines_ % chunk_ == 0) on_offset_(length_ + at);
      ++lines_;
      at_line_start_ = false;
    }
    const std::size_t end = bytes.find('\n', at);
    if (end == std::string_view::npos) break;
    at = end + 1;
    at_line_start_ = true;
  }
  length_ += bytes.size();
}

}  // namespace leat::cli
