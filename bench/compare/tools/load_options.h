// What ringway-bench-load was asked to do. Filled once from the command line, constant afterwards.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/compare/tools/sockets.h"

namespace ringway::bench {

struct LoadOptions {
  std::vector<Address> targets;  // connection N goes to the one at N modulo their number; not empty
  uint32_t connections = 64;
  double seconds = 3;
  double warmup = 0.5;
  double timeout = 5;
  double rate = 0;             // requests per second, held whatever the answers do; 0: closed loop
  uint64_t requests = 0;       // end after so many; 0: by time
  bool new_connections = false;
  uint32_t idle = 0;           // further connections that did one request and stay
  uint32_t sources = 64;       // addresses 127.0.1.x that connections come from, with --new-connections to 127.0.0.0/8
  std::vector<int> watch;        // processes whose CPU time is told
  bool messages = false;         // no HTTP: --tcp or --udp
  bool udp = false;
  uint32_t request_bytes = 64;   // of a message
  uint32_t response_bytes = 64;  // of its answer
  std::string request;           // all bytes of one
  std::optional<uint64_t> body_bytes;  // what a response must have
};

// Exits with a message when the command line is wrong, or after --help.
LoadOptions ParseLoadOptions(int argc, char** argv);

// The request for `path`, with the head curl (8.5) or Chromium (127) sends; `post` bytes of body when it is not 0.
std::string BuildRequest(const std::string& authority, const std::string& path, bool browser, uint64_t post, bool close);

// N of "/b/N", "/chunked/N", "/close/N": the body ringway-bench-origin answers with.
std::optional<uint64_t> BodyBytesOf(const std::string& path);

}  // namespace ringway::bench
