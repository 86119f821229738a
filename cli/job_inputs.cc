#include "cli/job_inputs.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>

#include "base/index_list.h"
#include "cli/program_check.h"
#include "definitions/units.h"

namespace leat::cli {
namespace {

using definitions::JobDefinition;
using definitions::Word;

// The directory as a pattern that matches it and nothing else.
std::string literal(const std::string& directory) {
  std::string pattern;
  for (const char c : directory) {
    if (c == '*' || c == '?' || c == '[' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern;
}

void expand(const Word& word, const std::string& directory, std::set<std::string>& seen,
            std::vector<std::string>& names) {
  const std::string& pattern = word.text;
  const std::string where = word.where + ' ' + pattern + ": ";
  if (pattern.empty()) fail(ExitCode::kUsage, where + "the pattern is empty");
  const std::string whole = pattern.front() == '/' ? pattern : literal(directory) + '/' + pattern;
  ::glob_t found{};
  const int error = ::glob(whole.c_str(), GLOB_MARK, nullptr, &found);
  std::uint64_t files = 0;
  for (std::size_t i = 0; error == 0 && i < found.gl_pathc; ++i) {
    std::string name = found.gl_pathv[i];
    if (name.ends_with('/')) continue;  // directories are marked
    ++files;
    if (seen.insert(name).second) names.push_back(std::move(name));
  }
  ::globfree(&found);
  if (error == 0 && files == 0)
    fail(ExitCode::kUsage, where + "matches directories only: name the files in them");
  if (error == GLOB_NOMATCH) fail(ExitCode::kUsage, where + "matches no file");
  if (error != 0) fail(ExitCode::kUsage, where + "cannot be looked up");
  if (names.size() > kFilesMax)
    fail(ExitCode::kUsage, where +
                               "more than 1000000 files: put their names into a file for "
                               "--each-line");
}

// The one field that makes tasks, if any.
const Word* maker_of(const JobDefinition& job) {
  const Word* maker = nullptr;
  for (const char* const field : {"array", "each-line", "each-file", "from-json"}) {
    const Word* word = job.find(field);
    if (word == nullptr && !job.all(field).empty()) word = &job.all(field).front();
    if (word == nullptr) continue;
    if (maker != nullptr)
      fail(ExitCode::kUsage,
           maker->where + " and " + word->where + ": give one of them, each makes the tasks");
    maker = word;
  }
  return maker;
}

// It is made when the job is submitted, if it is not there: the nodes share our file system.
std::string output_directory(const Word& word, const Surroundings& surroundings) {
  if (word.text.empty()) fail(ExitCode::kUsage, word.where + ": the directory's name is empty");
  const std::string path = absolute_path(word.text, surroundings.directory);
  struct stat info {};
  const bool there = ::stat(path.c_str(), &info) == 0;
  if (!there && errno != ENOENT)
    fail(ExitCode::kUsage, word.where + ' ' + word.text + ": " + std::strerror(errno));
  if (there && !S_ISDIR(info.st_mode))
    fail(ExitCode::kUsage, word.where + ' ' + word.text + ": is not a directory");
  return path;
}

}  // namespace

std::vector<std::string> expand_globs(const std::vector<Word>& patterns,
                                      const std::string& directory) {
  std::set<std::string> seen;
  std::vector<std::string> names;
  for (const Word& pattern : patterns) expand(pattern, directory, seen, names);
  return names;
}

void read_job_inputs(const JobDefinition& job, const Surroundings& surroundings,
                     JobRequest& request) {
  const Word* maker = maker_of(job);
  const Word* each_line = job.find("each-line");
  const Word* from_json = job.find("from-json");
  const Word* chunk = job.find("chunk");
  const Word* whole = job.find("stdin");
  if (chunk != nullptr && each_line == nullptr)
    fail(ExitCode::kUsage, chunk->where + ": give " +
                               definitions::called_beside(*chunk, "each-line") +
                               " FILE too, it counts its lines");
  if (whole != nullptr && (each_line != nullptr || from_json != nullptr))
    fail(ExitCode::kUsage, whole->where + " and " + maker->where +
                               ": give one of them, each is what tasks read on standard input");
  request.indices = IndexList(Stride{0, 1, 1});
  if (const Word* array = job.find("array"))
    request.indices = value_or_fail(IndexList::parse(array->text), array->where + ": ");
  if (each_line != nullptr) {
    request.each_line = LinesSource{each_line->text, 1};
    if (chunk != nullptr)
      request.each_line->chunk = value_or_fail(
          definitions::parse_number(chunk->text, 1, kTasksPerJobMax), chunk->where + ' ');
  }
  if (from_json != nullptr) request.from_json = from_json->text;
  if (!job.all("each-file").empty()) {
    request.each_file = expand_globs(job.all("each-file"), surroundings.directory);
    request.indices = IndexList(Stride{0, request.each_file.size(), 1});
  }
  if (whole != nullptr) request.stdin_file = whole->text;
  if (const Word* outputs = job.find("output-dir"))
    request.output_directory = output_directory(*outputs, surroundings);
}

}  // namespace leat::cli
