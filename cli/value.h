#pragma once

// value.h - what a reader shows, before it is known whether as a table or as JSON.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace leat::cli {

struct Field;

// Null, truth, number, text, list, or object with its fields in order.
class Value {
 public:
  using List = std::vector<Value>;
  using Object = std::vector<Field>;
  using Kind = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                            List, Object>;

  // Defined where Field is complete. Implicit, so that rows read like what they show.
  // NOLINTBEGIN(google-explicit-constructor)
  Value();
  Value(bool truth);
  Value(std::int64_t number);
  Value(std::uint64_t number);
  Value(std::uint32_t number);
  Value(std::int32_t number);
  Value(double number);
  Value(std::string text);
  Value(const char* text);
  Value(List list);
  Value(Object object);
  // NOLINTEND(google-explicit-constructor)
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();

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
