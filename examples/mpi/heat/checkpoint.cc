#include "examples/mpi/heat/checkpoint.h"

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <leat/payload.h>
#include <leat/task.h>

namespace heat {
namespace {

namespace fs = std::filesystem;

fs::path file_in(const std::string& directory) {
  return fs::path(directory) / "heat.checkpoint";
}

}  // namespace

void save(const std::string& directory, const Checkpoint& checkpoint) {
  const fs::path path = file_in(directory);
  const fs::path half_written = path.string() + ".new";
  std::ofstream file(half_written, std::ios::binary | std::ios::trunc);
  leat::write_payload(file, checkpoint);
  file.close();
  std::error_code error;
  if (file) fs::rename(half_written, path, error);
  if (!file || error) throw leat::TaskError("cannot write the checkpoint " + path.string());
}

std::optional<Checkpoint> find(const std::string& directory, const std::string& identity) {
  const fs::path path = file_in(directory);
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string why = "it is empty";
  try {
    std::optional<Checkpoint> checkpoint = leat::read_payload<Checkpoint>(file);
    if (checkpoint && checkpoint->identity == identity) return checkpoint;
    if (checkpoint) why = "it is of a run with other parameters: " + checkpoint->identity;
  } catch (const leat::PayloadError& error) {
    why = error.what();
  }
  std::cerr << "heat: begins from the start, not from " << path.string() << ": " << why << '\n';
  return std::nullopt;
}

void remove(const std::string& directory) {
  std::error_code ignored;
  fs::remove(file_in(directory), ignored);
}

}  // namespace heat
