#pragma once

// pmix_words.h - owners for libpmix's C structures. Only for pmix_*.cc.

#include <pmix.h>
#include <pmix_server.h>

#include <string>
#include <vector>

namespace leat::mpi {

// A growing array of pmix_info_t, destroyed with everything in it.
class InfoList {
 public:
  InfoList() = default;
  InfoList(const InfoList&) = delete;
  InfoList& operator=(const InfoList&) = delete;
  ~InfoList();

  void add(const char* key, const void* value, pmix_data_type_t type);
  void add(const char* key, const std::string& value) { add(key, value.c_str(), PMIX_STRING); }
  void add(const char* key, bool value) { add(key, &value, PMIX_BOOL); }
  void add_u32(const char* key, std::uint32_t value) { add(key, &value, PMIX_UINT32); }
  void add_u16(const char* key, std::uint16_t value) { add(key, &value, PMIX_UINT16); }
  void add_rank(const char* key, pmix_rank_t value) { add(key, &value, PMIX_PROC_RANK); }
  // The list becomes one value and is empty afterwards.
  void add_array(const char* key, InfoList& fields);

  pmix_info_t* data() { return infos_.data(); }
  std::size_t size() const { return infos_.size(); }

 private:
  std::vector<pmix_info_t> infos_;
};

pmix_proc_t proc_of(const std::string& nspace, pmix_rank_t rank);

// A value as the library packs it, and back.
std::string packed(const pmix_value_t& value);
bool unpack(const std::string& bytes, pmix_value_t& value);

}  // namespace leat::mpi
