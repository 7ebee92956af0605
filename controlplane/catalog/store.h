// The catalog on disk: one SQLite database, WAL mode, written in one transaction per turn of the
// loop. Owned by EmbeddedCatalog, one thread. docs/reference/catalog_api.md, "What survives".
//
// synchronous=NORMAL: a finished transaction survives the end of the process, kill -9 included,
// without an fsync on the control plane's only thread. What a power cut may take is the last
// moments before it: instances on this host died with it, others notice at their next TTL update
// (it fails, they register again). That the index never goes back even then is kept by another
// rule: after a boot that was not preceded by a clean close, it starts kIndexGap higher.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/catalog/catalog.h"

struct sqlite3;

namespace ringway::cp {

class Store {
 public:
  static constexpr int kSchemaVersion = 1;
  static constexpr uint64_t kIndexGap =
      1'000'000;  // more than any number of writes between two WAL checkpoints

  // Opens or creates `path`. `boot_id` names this run of the kernel. A file that is damaged, in
  // use, not a catalog or from a newer Ringway is an error that says so and is left untouched.
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path,
                                                     const std::string& boot_id);
  // /proc/sys/kernel/random/boot_id, or empty.
  static std::string BootId();
  ~Store();

  // Fills an empty model with what is stored.
  absl::Status Load(Catalog& catalog);
  // Writes the rows named in `dirty` as they are in `catalog`, whole or not at all.
  absl::Status Write(const Catalog& catalog, const Dirty& dirty);
  // The node id that stays with this database.
  absl::StatusOr<std::string> NodeId();

 private:
  class Statement;
  Store(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  absl::Status Run(const std::string& sql);
  absl::Status Error(const std::string& doing) const;
  absl::StatusOr<std::string> Meta(const std::string& name);
  absl::Status SetMeta(const std::string& name, const std::string& value);
  absl::Status Inspect();
  absl::StatusOr<bool> HasNoTables();
  absl::Status Prepare(const std::string& boot_id);
  absl::Status Put(const std::string& table, const std::string& node, const std::string& id,
                   const std::string& body);
  absl::Status WriteRows(const Catalog& catalog, const Dirty& dirty);

  const std::string path_;
  sqlite3* db_;
  uint64_t gap_ = 0;     // added to the stored index at Load
  bool opened_ = false;  // for writing
};

}  // namespace ringway::cp
