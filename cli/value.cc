#include "cli/value.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"

namespace leat::cli {
namespace {

constexpr std::uint64_t kDocumentVersion = 1;

nlohmann::ordered_json convert(const Value& value);

struct Converter {
  nlohmann::ordered_json operator()(std::monostate) const { return nullptr; }
  nlohmann::ordered_json operator()(bool truth) const { return truth; }
  nlohmann::ordered_json operator()(std::int64_t number) const { return number; }
  nlohmann::ordered_json operator()(std::uint64_t number) const { return number; }
  nlohmann::ordered_json operator()(double number) const { return number; }
  nlohmann::ordered_json operator()(const std::string& text) const { return text; }
  nlohmann::ordered_json operator()(const Value::List& list) const {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const Value& element : list) json.push_back(convert(element));
    return json;
  }
  nlohmann::ordered_json operator()(const Value::Object& object) const {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    for (const Field& field : object) json[field.name] = convert(field.value);
    return json;
  }
};

nlohmann::ordered_json convert(const Value& value) {
  return std::visit(Converter{}, value.kind());
}

}  // namespace

Value::Value() = default;
Value::Value(bool truth) : kind_(truth) {}
Value::Value(std::int64_t number) : kind_(number) {}
Value::Value(std::uint64_t number) : kind_(number) {}
Value::Value(std::uint32_t number) : kind_(std::uint64_t{number}) {}
Value::Value(std::int32_t number) : kind_(std::int64_t{number}) {}
Value::Value(double number) : kind_(number) {}
Value::Value(std::string text) : kind_(std::move(text)) {}
Value::Value(const char* text) : kind_(std::string(text)) {}
Value::Value(List list) : kind_(std::move(list)) {}
Value::Value(Object object) : kind_(std::move(object)) {}
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;
Value::~Value() = default;

const Value& Value::at(std::string_view path) const {
  static const Value kNone;
  const std::size_t dot = path.find('.');
  const Object* const object = std::get_if<Object>(&kind_);
  if (object == nullptr) return kNone;
  for (const Field& field : *object) {
    if (field.name != path.substr(0, dot)) continue;
    return dot == std::string_view::npos ? field.value : field.value.at(path.substr(dot + 1));
  }
  return kNone;
}

std::string to_json(const Value& value) {
  return convert(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

std::string json_document(Value::Object object) {
  object.insert(object.begin(), Field{"version", kDocumentVersion});
  return to_json(Value(std::move(object)));
}

}  // namespace leat::cli
