// The log of a load; see bpf_object.h.
#include "dataplane/kernel/bpf_object.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/log/log.h"

namespace ringway::dp {
namespace {

thread_local std::string* listening = nullptr;

int Print(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG) return 0;
  char line[4096];
  const int length = std::vsnprintf(line, sizeof(line), format, arguments);
  if (listening != nullptr) listening->append(line);
  else if (level == LIBBPF_WARN) spdlog::debug("{}", std::string(line, std::strcspn(line, "\n")));
  return length;
}

}  // namespace

VerifierLog::VerifierLog(std::string folder, std::string name)
    : folder_(std::move(folder)), name_(std::move(name)), kernel_(new char[kBytesMax]) {
  kernel_[0] = '\0';
  libbpf_set_print(Print);
}

VerifierLog::~VerifierLog() { Stop(); }

bpf_object_open_opts VerifierLog::OpenOptions() {
  bpf_object_open_opts options{};
  options.sz = sizeof(options);
  options.kernel_log_buf = kernel_.get();
  options.kernel_log_size = kBytesMax;
  options.kernel_log_level = 0;  // libbpf loads again with 1 after a refusal, and only then
  return options;
}

void VerifierLog::Listen() { listening = &libbpf_; }

void VerifierLog::Stop() {
  if (listening == &libbpf_) listening = nullptr;
}

std::string VerifierLog::Keep() const {
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  const std::string path = folder_ + "/" + name_ + ".log";
  std::ofstream file(path, std::ios::trunc);
  file << "libbpf:\n" << libbpf_ << "\nverifier:\n" << kernel_.get();
  file.flush();
  return file ? path : "";
}

void VerifierLog::Forget() const {
  std::error_code ignored;
  std::filesystem::remove(folder_ + "/" + name_ + ".log", ignored);
}

std::string VerifierLog::LastLine() const {
  std::string last;
  const char* at = kernel_.get();
  while (*at != '\0') {
    const size_t length = std::strcspn(at, "\n");
    const std::string line(at, length);
    // The closing statistics say nothing of the cause.
    if (!line.empty() && !line.starts_with("processed ") && !line.starts_with("verification time") && !line.starts_with("stack depth")) last = line;
    at += length + (at[length] == '\n' ? 1 : 0);
  }
  return last;
}

}  // namespace ringway::dp
