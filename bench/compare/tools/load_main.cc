// ringway-bench-load: see load_options.cc for what it does. Exit code 0: the run ended, whatever it counted; 1: it could not be
// run; 2: the command line makes no sense.
#include <cstdio>

#include "bench/compare/tools/load_driver.h"

int main(int argc, char** argv) {
  using namespace ringway::bench;
  const LoadOptions options = ParseLoadOptions(argc, argv);
  RaiseFileLimit();
  std::puts(LoadDriver(options).Run().Json().c_str());
  return 0;
}
