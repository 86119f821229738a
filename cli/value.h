#pragma once

// value.h - what a reader shows, before it is known whether as a table or as JSON.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace leat::cli {

struct Field;

// Null, truth, whole number, text, list, or object with its fields in order.
class Value {
 public:
  using List = std::vector<Value>;
  using Object = std::vector<Field>;
  using Kind =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, std::string, List, Object>;

  Value() = default;
  Value(bool truth) : kind_(truth) {}             // NOLINT(google-explicit-constructor)
  Value(std::int64_t number) : kind_(number) {}   // NOLINT(google-explicit-constructor)
  Value(std::uint64_t number) : kind_(number) {}  // NOLINT(google-explicit-constructor)
  Value(std::uint32_t number)                     // NOLINT(google-explicit-constructor)
      : kind_(std::uint64_t{number}) {}
  Value(std::int32_t number)
      : kind_(std::int64_t{number}) {}                   // NOLINT(google-explicit-constructor)
  Value(std::string text) : kind_(std::move(text)) {}    // NOLINT(google-explicit-constructor)
  Value(const char* text) : kind_(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  Value(List list);                                      // NOLINT(google-explicit-constructor)
  Value(Object object);                                  // NOLINT(google-explicit-constructor)

  const Kind& kind() const { return kind_; }

  // The value at "counts.running"; null if there is none.
  const Value& at(std::string_view path) const;

 private:
  Kind kind_;
};

struct Field {
  std::string name;
  Value value;
};

// One line with its end. Text that is not UTF-8 gets replacement characters.
std::string to_json(const Value& value);

// A document: `{"version":1, …}` with the fields of `object`. Fields are added in later versions,
// never changed.
std::string json_document(Value::Object object);

}  // namespace leat::cli
