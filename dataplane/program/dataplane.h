// The dataplane as a whole: workers on their threads, and beside them, on the main thread, the feed, the stats, the signals
// and a tick a second. main.cc reads the command line and calls Run.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::dp {

struct DataplaneOptions {
  std::string run_dir;        // feed.sock and handover.sock in it
  std::string state_dir;      // snapshot.json in it
  std::string snapshot_file;  // not empty: run this one, without feed and state
  std::string bulk = "splice";  // how long bodies and streams are moved: splice, copy
  uint32_t workers = 0;       // zero: as many as CPUs in `pin`, or usable ones
  std::string pin;            // which CPUs the workers run on: "" any, "auto", or a list
  bool huge_pages = false;    // for receive buffers
  bool take_over = false;     // the listening sockets of the dataplane that serves in run_dir
  int status_fd = -1;         // where to say how far it is (status_pipe.h)
};

// Returns the exit code.
int RunDataplane(const DataplaneOptions& options);

}  // namespace ringway::dp
