#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "scheduler/core/lifecycles.h"

// docs/states.md is printed from the tables; UPDATE_GOLDEN=1 rewrites it.

namespace leat::core {
namespace {

template <typename Table>
void print(std::ostream& out, const char* title, const Table& table) {
  out << "\n## " << title << "\n\n| from | on | to |\n|---|---|---|\n";
  for (const auto& row : table)
    out << "| " << name_of(row.from) << " | " << name_of(row.on) << " | " << name_of(row.to)
        << " |\n";
  out << "\n```dot\ndigraph " << title << " {\n";
  for (const auto& row : table)
    out << "  \"" << name_of(row.from) << "\" -> \"" << name_of(row.to) << "\" [label=\""
        << name_of(row.on) << "\"];\n";
  out << "}\n```\n";
}

std::string page() {
  std::ostringstream out;
  out << "# States\n\nPrinted from `scheduler/core/lifecycles.h` by "
         "`UPDATE_GOLDEN=1 ctest -R States`; do not edit.\nA step that is not here is refused "
         "when a user asks for it and a bug when Leat does.\n";
  print(out, "task", kTaskTransitions);
  print(out, "job", kJobTransitions);
  print(out, "node", kNodeTransitions);
  print(out, "duty", kDutyTransitions);
  print(out, "pool", kPoolTransitions);
  return out.str();
}

TEST(States, AreDocumentedAsTheTablesHaveThem) {
  const std::string path = std::string(LEAT_SOURCE_DIR) + "/docs/states.md";
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << page();
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), page()) << "run: UPDATE_GOLDEN=1 ctest -R States";
}

}  // namespace
}  // namespace leat::core
