// What ringway-load was asked to do. Filled once from the command line, constant afterwards.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ringway::load {

// Shares of the kinds of request; any scale ("get=8,post=1,big=1").
struct Mix {
  double get = 8;
  double post = 1;
  double big = 1;
  double slow = 0;
};

struct Options {
  std::string host = "127.0.0.1";  // literal or name
  std::string port = "80";
  std::string authority;  // value of the Host header

  double rate = 100;            // requests per second, held whatever the answers do
  size_t connections = 16;      // keep-alive connections
  double new_connections = 0;   // share of requests that open and close a connection of their own
  std::chrono::milliseconds duration{10000};
  bool until_signal = false;    // duration is ignored
  size_t burst = 1;             // requests that come together, every burst / rate seconds
  std::chrono::milliseconds jitter{0};  // each burst comes later than the clock says by a random time up to this
  std::chrono::milliseconds timeout{30000};  // from the intended start, waiting for a connection included
  Mix mix;
  size_t post_bytes_max = 1 << 20;
  size_t big_bytes_max = 10 << 20;
  uint32_t slow_ms = 500;
  std::string get_path = "/";
  std::string post_path = "/echo.php";
  std::string big_path = "/big.php";
  std::string slow_path = "/slow.php";
  std::string endpoint_header = "x-served-by";
  uint64_t seed = 1;

  size_t samples_max = 5;  // failed requests of each kind that the report tells one by one
  std::string json_path;                    // "-" is stdout
  std::string record_path;                  // one line a request; empty: none
  std::chrono::milliseconds progress{0};    // a JSON line on stdout this often; 0: never
};

// Exits with a message when the command line is wrong, or after --help.
Options ParseCommandLine(int argc, char** argv);

}  // namespace ringway::load
