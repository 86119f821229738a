#include "cli/line_input.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "cli/blob_upload.h"
#include "cli/json_lines.h"
#include "cli/line_index.h"

namespace leat::cli {
namespace {

LinesRequest one_each(const transport::Blob& data, const transport::Blob& offsets,
                      std::uint64_t lines, schema::Inputs::Lines::Use use) {
  LinesRequest request;
  request.data = data;
  request.offsets = offsets;
  request.lines = lines;
  request.use = use;
  return request;
}

}  // namespace

LinesRequest upload_lines(Shell& shell, Head& head, const std::string& path, std::uint64_t chunk) {
  InputFile file(shell.home, shell.surroundings, path);
  OffsetTable table(shell.home);
  LineIndex index(chunk, [&table](std::uint64_t offset) { table.add(offset); });
  const transport::Blob data = file.read([&](std::string_view bytes) {
    index.feed(bytes);
    if (index.tasks() > kTasksPerJobMax)
      fail(ExitCode::kUsage, path + ": more than 2^32 tasks: give a larger --chunk");
  });
  if (index.lines() == 0) fail(ExitCode::kUsage, path + ": empty: one task per line is made");
  index.finish();
  const transport::Blob offsets = table.finish();
  Uploader uploader(shell, head);
  uploader.upload(file.fd(), data, path);
  uploader.upload(table.fd(), offsets, path);
  LinesRequest request = one_each(data, offsets, index.lines(), schema::Inputs::Lines::Use::STREAM);
  request.chunk = chunk;
  return request;
}

LinesRequest upload_objects(Shell& shell, Head& head, const std::string& path,
                            const std::vector<std::string>& argv) {
  InputFile file(shell.home, shell.surroundings, path);
  OffsetTable table(shell.home);
  JsonLines lines(argv, [&table](std::uint64_t offset) { table.add(offset); });
  const transport::Blob data =
      file.read([&](std::string_view bytes) { value_or_fail(lines.feed(bytes), path + ": "); });
  value_or_fail(lines.finish(), path + ": ");
  const transport::Blob offsets = table.finish();
  Uploader uploader(shell, head);
  uploader.upload(file.fd(), data, path);
  uploader.upload(table.fd(), offsets, path);
  return one_each(data, offsets, lines.objects(), schema::Inputs::Lines::Use::OBJECT);
}

LinesRequest upload_names(Shell& shell, Head& head, const std::vector<std::string>& names) {
  NamelessFile data(shell.home);
  OffsetTable table(shell.home);
  std::uint64_t length = 0;
  for (const std::string& name : names) {
    table.add(length);
    data.append(name);
    length += name.size();
  }
  table.add(length);
  const transport::Blob data_blob = data.finish();
  const transport::Blob offsets = table.finish();
  Uploader uploader(shell, head);
  uploader.upload(data.fd(), data_blob, "--each-file");
  uploader.upload(table.fd(), offsets, "--each-file");
  return one_each(data_blob, offsets, names.size(), schema::Inputs::Lines::Use::FILE);
}

transport::Blob upload_whole(Shell& shell, Head& head, const std::string& path) {
  InputFile file(shell.home, shell.surroundings, path);
  const transport::Blob blob = file.read([](std::string_view) {});
  Uploader(shell, head).upload(file.fd(), blob, path);
  return blob;
}

void upload_inputs(Shell& shell, Head& head, JobRequest& request) {
  if (request.each_line) {
    request.lines = upload_lines(shell, head, request.each_line->path, request.each_line->chunk);
  } else if (request.from_json) {
    request.lines = upload_objects(shell, head, *request.from_json, request.argv);
  } else if (!request.each_file.empty()) {
    request.lines = upload_names(shell, head, request.each_file);
  }
  if (request.lines) {
    const LinesRequest& lines = *request.lines;
    request.indices = IndexList(Stride{0, (lines.lines + lines.chunk - 1) / lines.chunk, 1});
  }
  const std::string& outputs = request.output_directory;
  std::error_code error;
  if (!outputs.empty()) std::filesystem::create_directories(outputs, error);
  if (error) fail(ExitCode::kUsage, "--output-dir " + outputs + ": " + error.message());
  if (request.stdin_file) request.standard_input = upload_whole(shell, head, *request.stdin_file);
}

}  // namespace leat::cli
