// pool_token.cc - `leat pool token`: what agents of other machines join with.

#include "cli/command.h"
#include "cli/failure.h"
#include "cli/head.h"
#include "definitions/pool_definition.h"
#include "definitions/units.h"
#include "transport/secret_file.h"

namespace leat::cli {
namespace {

constexpr std::uint64_t kTokensMax = 1024;
constexpr Duration kLifeDefault = std::chrono::hours(1);
constexpr Duration kLifeMin = std::chrono::seconds(1);
constexpr Duration kLifeMax = std::chrono::hours(24 * 30);

class PoolToken final : public Command {
 public:
  void declare(Arguments& arguments) override {
    arguments.operand("POOL", name_, "a static pool");
    arguments.option("--count", "N", count_text_, "tokens for N nodes: FILE.1 to FILE.N");
    arguments.option("--expires", "TIME", expires_, "good for so long (default: 1h)");
    arguments.option("--out", "FILE", out_, "where to write it, readable by you alone");
    arguments.option("--key", "TEXT", key_, "asking twice with one key is asking once");
  }

  ExitCode run(Shell& shell) override {
    if (!out_)
      fail(ExitCode::kUsage, "--out is missing: a token is written to a file, never shown");
    std::uint64_t count = 1;
    if (count_text_)
      count = value_or_fail(definitions::parse_number(*count_text_, 1, kTokensMax), "--count ");
    Duration life = kLifeDefault;
    if (expires_) life = value_or_fail(definitions::parse_duration(*expires_), "--expires ");
    if (life < kLifeMin || life > kLifeMax)
      fail(ExitCode::kUsage, "--expires " + *expires_ + ": wants a time from " +
                                 definitions::show_duration(kLifeMin) + " to " +
                                 definitions::show_duration(kLifeMax));
    const std::vector<std::string> paths = choose_paths(shell.surroundings, count);
    value_or_fail(verify_home(shell.home));
    Head head(shell);
    write(shell.console, head, paths, life, key_.value_or(shell.surroundings.fresh_key));
    return ExitCode::kDone;
  }

 private:
  // None of them may be there: a token that is overwritten is lost.
  std::vector<std::string> choose_paths(const Surroundings& surroundings,
                                        std::uint64_t count) const {
    const bool absolute = out_->rfind('/', 0) == 0;
    const std::string path = absolute ? *out_ : surroundings.directory + '/' + *out_;
    std::vector<std::string> paths;
    for (std::uint64_t n = 1; n <= count; ++n)
      paths.push_back(count == 1 ? path : path + '.' + std::to_string(n));
    for (const std::string& one : paths) {
      const Result<std::string> there = transport::read_secret_file(one);
      if (there.ok() || there.refusal().reason != Reason::kNotFound)
        fail(ExitCode::kUsage, one + " is there already: choose another --out");
    }
    return paths;
  }

  void write(Console& console, Head& head, const std::vector<std::string>& paths, Duration life,
             const std::string& key) const {
    const auto answer = head.ask(
        [&](schema::Scheduler::Client& client) {
          auto call = client.makeTokensRequest();
          call.setKey(key.c_str());
          call.setPool(name_->c_str());
          call.setCount(static_cast<std::uint32_t>(paths.size()));
          call.setLifeUs(life.count());
          return call.send();
        },
        change_patience(key));
    const schema::TokensResult::Reader result = answer;
    if (result.isRefusal()) fail(read_refusal(result.getRefusal()));
    const auto tokens = result.getTokens();
    if (tokens.size() != paths.size())
      fail(ExitCode::kUnreachable, "the head made another number of tokens: try again");
    for (unsigned n = 0; n < tokens.size(); ++n) {
      value_or_fail(transport::write_secret_file(paths[n], tokens[n].getText().cStr()));
      console.out(printable(paths[n]) + ": node " + std::to_string(tokens[n].getNode()) +
                  " may join within " + definitions::show_duration(life) + '\n');
    }
  }

  std::optional<std::string> name_, count_text_, expires_, out_, key_;
};

constexpr std::string_view kPoolTokenDetails =
    R"(Writes a token by which one agent joins a static pool, once. Copy the file to the
machine that is to be the node, and run leat agent join --token-file FILE there.
Whoever has the file can be the node: it is readable by you alone, keep it so.

  leat pool token lab --out lab.token
  leat pool token lab --count 3 --expires 8h --out lab.token)";

}  // namespace

const CommandEntry kPoolToken{"pool token", "let an agent join a static pool", kPoolTokenDetails,
                              build_command<PoolToken>};

}  // namespace leat::cli
