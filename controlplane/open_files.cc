// See open_files.h.
#include "controlplane/open_files.h"

#include <sys/resource.h>

#include <algorithm>

namespace ringway::cp {

size_t CatalogConnectionsMax() {
  constexpr rlim_t kMost = 16384;  // a blocking query each: about 100 MB
  rlimit files{1024, 1024};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    const rlimit raised{files.rlim_max, files.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) files = raised;
  }
  return std::min(files.rlim_cur / 2, kMost);
}

}  // namespace ringway::cp
