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

Value::Value(List list) : kind_(std::move(list)) {}
Value::Value(Object object) : kind_(std::move(object)) {}

const Value& Value::at(std::string_view path) const {
  static const Value none;
  const std::size_t dot = path.find('.');
  const Object* const object = std::get_if<Object>(&kind_);
  if (object == nullptr) return none;
  for (const Field& field : *object) {
    if (field.name != path.substr(0, dot)) continue;
    return dot == std::string_view::npos ? field.value : field.value.at(path.substr(dot + 1));
  }
  return none;
}

std::string to_json(const Value& value) {
  return convert(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

std::string json_document(Value::Object object) {
  object.insert(object.begin(), Field{"version", kDocumentVersion});
  return to_json(Value(std::move(object)));
}

}  // namespace leat::cli
