// ringway-load: open-loop HTTP load that accounts for every request. Used by scripts/demo and the tests; no part of the
// product. Exit codes: 0 no request failed, 1 some failed (the report says which), 2 a wrong command line or no address.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fstream>
#include <iostream>

#include "tests/support/load/driver.h"

namespace ringway::load {
namespace {

namespace asio = boost::asio;

void PrintProgress(asio::steady_timer& timer, const Options& options, const Report& report) {
  timer.expires_after(options.progress);
  timer.async_wait([&](boost::system::error_code error) {
    if (error) return;
    std::cout << report.ProgressLine() << std::endl;
    PrintProgress(timer, options, report);
  });
}

int WriteReport(const Options& options, Report& report) {
  if (!report.CloseRecord()) {
    std::cerr << "ringway-load: cannot write " << options.record_path << "\n";
    return 2;
  }
  if (options.json_path == "-") {
    std::cout << report.Json();
  } else if (!options.json_path.empty()) {
    std::ofstream file(options.json_path, std::ios::trunc);
    file << report.Json();
    file.close();
    if (!file) {
      std::cerr << "ringway-load: cannot write " << options.json_path << "\n";
      return 2;
    }
  }
  std::cerr << report.Summary();
  return report.failed() == 0 ? 0 : 1;
}

int Main(int argc, char** argv) {
  const Options options = ParseCommandLine(argc, argv);
  asio::io_context io(1);
  Workload workload(options);
  Report report(options.samples_max, options.record_path);
  Driver driver(io, options, workload, report);
  asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](boost::system::error_code error, int) {
    if (!error) driver.Stop();
  });
  asio::steady_timer progress(io);
  if (options.progress.count() > 0) PrintProgress(progress, options, report);

  std::exception_ptr problem;
  asio::co_spawn(io, driver.Run(), [&](std::exception_ptr thrown) {
    problem = thrown;
    io.stop();
  });
  io.run();
  if (problem) {
    try {
      std::rethrow_exception(problem);
    } catch (const std::exception& error) {
      std::cerr << "ringway-load: " << options.host << ":" << options.port << ": " << error.what() << "\n";
      return 2;
    }
  }
  return WriteReport(options, report);
}

}  // namespace
}  // namespace ringway::load

int main(int argc, char** argv) { return ringway::load::Main(argc, argv); }
