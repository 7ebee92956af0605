// Where the access log's lines go: a regular file that may be moved away at any time, a FIFO, or standard output. Opened for
// appending, so that several processes (an upgrade) and copytruncate do no harm. The access log's thread; no call waits longer than
// it is told, but for a regular file on a disk that hangs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringway::dp {

class LogFile {
 public:
  // Nothing is opened yet. "stdout", or a path.
  explicit LogFile(std::string path) : path_(std::move(path)) {}
  ~LogFile() { Close(); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // True when it is open. Else error() says why not.
  bool Open();
  void Close();
  // Another file stands at the path now, or none.
  bool Moved() const;

  // Writes whole lines as far as they fit without waiting longer than `wait_ms`, and returns how many bytes went. When not all
  // did, error() is empty if the reader is just slow; else what went wrong. A reader that is gone closes the file.
  size_t Write(std::string_view lines, int wait_ms);

  bool open() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }
  const std::string& error() const { return error_; }

 private:
  enum class Kind : uint8_t { kFile, kPipe, kSocket };
  long WriteSome(std::string_view lines);
  bool Ready(int wait_ms) const;

  const std::string path_;
  int fd_ = -1;
  Kind kind_ = Kind::kFile;
  std::string error_;
};

}  // namespace ringway::dp
