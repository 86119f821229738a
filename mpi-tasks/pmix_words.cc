#include "mpi-tasks/pmix_words.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace leat::mpi {

InfoList::~InfoList() {
  for (pmix_info_t& info : infos_) PMIX_INFO_DESTRUCT(&info);
}

void InfoList::add(const char* key, const void* value, pmix_data_type_t type) {
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_INFO_LOAD(&info, key, value, type);
  infos_.push_back(info);
}

void InfoList::add_array(const char* key, InfoList& fields) {
  pmix_data_array_t* array = nullptr;
  PMIX_DATA_ARRAY_CREATE(array, fields.size(), PMIX_INFO);
  // What the fields own moves over with their bytes.
  std::memcpy(array->array, fields.data(), fields.size() * sizeof(pmix_info_t));
  fields.infos_.clear();
  pmix_info_t info;
  PMIX_INFO_CONSTRUCT(&info);
  PMIX_LOAD_KEY(info.key, key);
  info.value.type = PMIX_DATA_ARRAY;
  info.value.data.darray = array;
  infos_.push_back(info);
}

pmix_proc_t proc_of(const std::string& nspace, pmix_rank_t rank) {
  pmix_proc_t proc;
  PMIX_LOAD_PROCID(&proc, nspace.c_str(), rank);
  return proc;
}

std::string packed(const pmix_value_t& value) {
  pmix_data_buffer_t buffer;
  PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
  std::string bytes;
  if (PMIx_Data_pack(nullptr, &buffer, const_cast<pmix_value_t*>(&value), 1, PMIX_VALUE) ==
      PMIX_SUCCESS)
    bytes.assign(buffer.base_ptr, buffer.bytes_used);
  PMIX_DATA_BUFFER_DESTRUCT(&buffer);
  return bytes;
}

bool unpack(const std::string& bytes, pmix_value_t& value) {
  pmix_data_buffer_t buffer;
  PMIX_DATA_BUFFER_CONSTRUCT(&buffer);
  // The buffer frees what it holds.
  char* copy = static_cast<char*>(std::malloc(bytes.size()));
  std::ranges::copy(bytes, copy);
  PMIX_DATA_BUFFER_LOAD(&buffer, copy, bytes.size());
  std::int32_t count = 1;
  const bool good =
      PMIx_Data_unpack(nullptr, &buffer, &value, &count, PMIX_VALUE) == PMIX_SUCCESS && count == 1;
  PMIX_DATA_BUFFER_DESTRUCT(&buffer);
  return good;
}

}  // namespace leat::mpi
