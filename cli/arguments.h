#pragma once

// arguments.h - what a command takes, declared once: for the parser and for --help.

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace leat::cli {

// A command's options and operands, bound to its members. Borrows what it is bound to.
class Arguments {
 public:
  struct Option {
    std::string names;    // "-f,--follow": short form first, if there is one
    std::string metavar;  // empty: a flag
    std::string help;
    std::variant<bool*, std::optional<std::string>*, std::vector<std::string>*> target;
    std::vector<std::string> choices{};  // the values of an option that may stand alone
  };
  struct Operand {
    std::string metavar;
    std::string help;
    std::optional<std::string>* target = nullptr;
    bool required = true;
  };

  void flag(std::string names, bool& value, std::string help);
  void option(std::string names, std::string metavar, std::optional<std::string>& value,
              std::string help);
  // May stand alone, which is an empty value. Takes the next word only if it is one of `choices`;
  // behind '=' anything.
  void choice(std::string names, std::vector<std::string> choices,
              std::optional<std::string>& value, std::string help);
  // May be given several times. Takes the next word as it is, even one that begins with '-'.
  void list(std::string names, std::string metavar, std::vector<std::string>& values,
            std::string help);
  void operand(std::string metavar, std::optional<std::string>& value, std::string help,
               bool required = true);
  // Everything after "--", untouched. At least one word, if there is a "--" or it is required.
  void rest(std::string metavar, std::vector<std::string>& values, bool required = true);

  const std::vector<Option>& options() const { return options_; }
  const std::vector<Operand>& operands() const { return operands_; }
  const std::string& rest_metavar() const { return rest_metavar_; }
  bool rest_required() const { return rest_required_; }

  // Whether --help or -h stands before any "--".
  bool asks_for_help(const std::vector<std::string>& words) const;

  // Fills what was declared from `words`. Refused with kInvalid.
  Result<Done> parse(std::vector<std::string> words);

 private:
  std::vector<std::string> join_values(std::vector<std::string> words) const;
  const Option* find(std::string_view name) const;
  Result<Done> check_shape(const std::vector<std::string>& joined) const;
  Result<Done> parse_joined(std::vector<std::string> words);

  std::vector<Option> options_;
  std::vector<Operand> operands_;
  std::string rest_metavar_;
  std::vector<std::string>* rest_ = nullptr;
  bool rest_required_ = false;
};

}  // namespace leat::cli
