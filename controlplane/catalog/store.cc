// The catalog's SQLite file; see store.h. Every SQLite error becomes a Status that names the file.
#include "controlplane/catalog/store.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/catalog/record_json.h"

namespace ringway::cp {
namespace {

constexpr int kApplicationId = 0x52574159;  // "RWAY", in the file's header

constexpr char kSchema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE named_indexes (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE nodes (node TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE services (node TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (node, id)) "
    "WITHOUT ROWID;"
    "CREATE TABLE checks (node TEXT, id TEXT, body TEXT NOT NULL, PRIMARY KEY (node, id)) WITHOUT "
    "ROWID;"
    "INSERT INTO meta VALUES ('index', '1');";

std::string RandomUuid() {
  std::random_device random;
  std::string uuid;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    absl::StrAppend(&uuid, absl::Hex(random() & 0xFF, absl::kZeroPad2));
  }
  return uuid;
}

}  // namespace

// A prepared statement for as long as one call needs it.
class Store::Statement {
 public:
  Statement(sqlite3* db, const std::string& sql) {
    result_ = sqlite3_prepare_v2(db, sql.c_str(), -1, &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(int at, const std::string& text) {
    if (ok())
      result_ = sqlite3_bind_text(statement_, at, text.data(), static_cast<int>(text.size()),
                                  SQLITE_TRANSIENT);
  }
  void Bind(int at, uint64_t number) {
    if (ok()) result_ = sqlite3_bind_int64(statement_, at, static_cast<sqlite3_int64>(number));
  }
  bool Step() {  // true: a row is there
    if (ok() || result_ == SQLITE_ROW) result_ = sqlite3_step(statement_);
    return result_ == SQLITE_ROW;
  }
  void Reset() {
    if (done()) result_ = sqlite3_reset(statement_);
  }
  std::string Text(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    return std::string(bytes == nullptr ? "" : bytes,
                       static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }
  uint64_t Number(int column) const {
    return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
  }
  bool ok() const { return result_ == SQLITE_OK; }
  bool done() const { return result_ == SQLITE_DONE; }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int result_ = SQLITE_OK;
};

std::string Store::BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

absl::Status Store::Error(const std::string& doing) const {
  const int code = sqlite3_errcode(db_);
  const std::string what =
      absl::StrCat("catalog database ", path_, ": ", doing, ": ", sqlite3_errmsg(db_));
  switch (code & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat("catalog database ", path_, " is damaged (",
                                              sqlite3_errmsg(db_),
                                              "); it was left as it is. Restore it from a backup, "
                                              "or move it and its -wal file away and start again: "
                                              "sidecars register their instances anew"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::FailedPreconditionError(absl::StrCat(
          "catalog database ", path_,
          " is in use by another process; stop that one, or give this one a data_dir of its own"));
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(what);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::PermissionDeniedError(
          absl::StrCat(what, " (may this user write to that folder?)"));
    default:
      return absl::InternalError(what);
  }
}

absl::Status Store::Run(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK)
    return absl::OkStatus();
  return Error(sql.substr(0, sql.find_first_of(" (")));
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path,
                                                   const std::string& boot_id) {
  struct stat info{};
  const bool exists = stat(path.c_str(), &info) == 0 && info.st_size > 0;
  // First look without being able to write: what is wrong with a file must not get worse by our
  // finding out.
  for (const bool writable : {false, true}) {
    if (!writable && !exists) continue;
    sqlite3* db = nullptr;
    const int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    const int result = sqlite3_open_v2(path.c_str(), &db, flags, nullptr);
    std::unique_ptr<Store> store(new Store(path, db));
    if (db == nullptr) return absl::ResourceExhaustedError("catalog database: out of memory");
    if (result != SQLITE_OK) return store->Error("open");
    const absl::Status status = writable ? store->Prepare(boot_id) : store->Inspect();
    if (!status.ok()) return status;
    if (writable) return store;
  }
  return absl::InternalError("unreachable");
}

absl::Status Store::Inspect() {
  Statement check(db_, "PRAGMA quick_check(1)");
  if (!check.Step()) return Error("quick_check");
  if (const std::string verdict = check.Text(0); verdict != "ok") {
    return absl::DataLossError(absl::StrCat("catalog database ", path_, " is damaged (", verdict,
                                            "); it was left as it is. Restore it from a backup, or "
                                            "move it and its -wal file away and start again: "
                                            "sidecars register their instances anew"));
  }
  Statement id(db_, "PRAGMA application_id");
  if (!id.Step()) return Error("application_id");
  if (id.Number(0) != kApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_,
                     " is a SQLite database, but not a Ringway catalog; it was left as it is. "
                     "Choose another data_dir"));
  }
  Statement version(db_, "PRAGMA user_version");
  if (!version.Step()) return Error("user_version");
  if (version.Number(0) == kSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("catalog database ", path_, " has schema version ", version.Number(0),
                   ", this Ringway knows ", kSchemaVersion,
                   "; it was left as it is. Start the Ringway that wrote it"));
}

absl::StatusOr<bool> Store::HasNoTables() {
  Statement tables(db_, "SELECT count(*) FROM sqlite_master");
  if (!tables.Step()) return Error("read the schema");
  return tables.Number(0) == 0;
}

absl::Status Store::Prepare(const std::string& boot_id) {
  // The lock is kept for the life of the process: two control planes on one file would undo each
  // other.
  absl::Status status =
      Run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
          "BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  const auto is_new = HasNoTables();
  if (!is_new.ok()) return is_new.status();
  if (*is_new) {
    status = Run(absl::StrCat("PRAGMA application_id=", kApplicationId,
                              "; PRAGMA user_version=", kSchemaVersion, "; ", kSchema));
    if (status.ok()) status = SetMeta("node_id", RandomUuid());
  } else {
    const auto last_boot = Meta("boot_id");
    const auto clean = Meta("clean");
    if (!last_boot.ok()) return last_boot.status();
    if (!clean.ok()) return clean.status();
    if (*clean != "yes" && *last_boot != boot_id) gap_ = kIndexGap;
  }
  if (status.ok()) status = SetMeta("boot_id", boot_id);
  if (status.ok()) status = SetMeta("clean", "no");
  if (status.ok()) status = Run("COMMIT");
  opened_ = status.ok();
  return status;
}

Store::~Store() {
  if (opened_) SetMeta("clean", "yes").IgnoreError();
  sqlite3_close(db_);  // checkpoints and syncs
}

absl::StatusOr<std::string> Store::Meta(const std::string& name) {
  Statement read(db_, "SELECT value FROM meta WHERE name=?");
  read.Bind(1, name);
  if (read.Step()) return read.Text(0);
  if (read.done()) return std::string();
  return Error("read meta");
}

absl::Status Store::SetMeta(const std::string& name, const std::string& value) {
  Statement write(db_, "INSERT OR REPLACE INTO meta VALUES (?, ?)");
  write.Bind(1, name);
  write.Bind(2, value);
  write.Step();
  return write.done() ? absl::OkStatus() : Error("write meta");
}

absl::StatusOr<std::string> Store::NodeId() { return Meta("node_id"); }

absl::Status Store::Load(Catalog& catalog) {
  std::map<std::string, Catalog::Node> nodes;
  const auto damaged = [this](const std::string& row, const absl::Status& why) {
    return absl::DataLossError(absl::StrCat(
        "catalog database ", path_, " is damaged (", row, ": ", std::string(why.message()),
        "); it was left as it is. Move it away and start again"));
  };
  Statement node_rows(db_, "SELECT node, body FROM nodes");
  while (node_rows.Step()) {
    auto node = DecodeNode(node_rows.Text(1));
    if (!node.ok()) return damaged("node " + node_rows.Text(0), node.status());
    nodes[node_rows.Text(0)].record = *std::move(node);
  }
  Statement service_rows(db_, "SELECT node, id, body FROM services");
  while (service_rows.Step()) {
    auto service = DecodeService(service_rows.Text(2));
    if (!service.ok()) return damaged("service " + service_rows.Text(1), service.status());
    nodes[service_rows.Text(0)].services[service_rows.Text(1)] = *std::move(service);
  }
  Statement check_rows(db_, "SELECT node, id, body FROM checks");
  while (check_rows.Step()) {
    auto check = DecodeCheck(check_rows.Text(2));
    if (!check.ok()) return damaged("check " + check_rows.Text(1), check.status());
    nodes[check_rows.Text(0)].checks[check_rows.Text(1)] = *std::move(check);
  }
  std::map<std::string, uint64_t> indexes;
  Statement index_rows(db_, "SELECT name, value FROM named_indexes");
  while (index_rows.Step()) indexes[index_rows.Text(0)] = index_rows.Number(1);
  if (!node_rows.done() || !service_rows.done() || !check_rows.done() || !index_rows.done())
    return Error("read");
  const auto index = Meta("index");
  if (!index.ok()) return index.status();
  std::vector<Catalog::Node> list;
  for (auto& [key, node] : nodes) list.push_back(std::move(node));
  catalog.Restore(std::stoull("0" + *index) + gap_, std::move(indexes), std::move(list));
  return absl::OkStatus();
}

absl::Status Store::Write(const Catalog& catalog, const Dirty& dirty) {
  absl::Status status = Run("BEGIN IMMEDIATE");
  if (!status.ok()) return status;
  status = WriteRows(catalog, dirty);
  if (status.ok()) status = Run("COMMIT");
  if (!status.ok()) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  return status;
}

absl::Status Store::WriteRows(const Catalog& catalog, const Dirty& dirty) {
  for (const std::string& key : dirty.nodes) {
    const Catalog::Node* node = catalog.FindNode(key);
    const absl::Status status =
        Put("nodes", "", key, node == nullptr ? "" : EncodeNode(node->record));
    if (!status.ok()) return status;
  }
  for (const auto& [key, id] : dirty.services) {
    const Catalog::Node* node = catalog.FindNode(key);
    const bool exists = node != nullptr && node->services.contains(id);
    const absl::Status status =
        Put("services", key, id, exists ? EncodeService(node->services.at(id)) : "");
    if (!status.ok()) return status;
  }
  for (const auto& [key, id] : dirty.checks) {
    const Catalog::Node* node = catalog.FindNode(key);
    const bool exists = node != nullptr && node->checks.contains(id);
    const absl::Status status =
        Put("checks", key, id, exists ? EncodeCheck(node->checks.at(id)) : "");
    if (!status.ok()) return status;
  }
  for (const std::string& name : dirty.indexes) {
    const auto found = catalog.named_indexes().find(name);
    const bool exists = found != catalog.named_indexes().end();
    Statement write(db_, exists ? "INSERT OR REPLACE INTO named_indexes VALUES (?1, ?2)"
                                : "DELETE FROM named_indexes WHERE name=?1");
    write.Bind(1, name);
    if (exists) write.Bind(2, found->second);
    write.Step();
    if (!write.done()) return Error("write named_indexes");
  }
  return SetMeta("index", std::to_string(catalog.index()));
}

// Puts a row, or removes it when `body` is empty. `node` is empty for the nodes table itself.
absl::Status Store::Put(const std::string& table, const std::string& node, const std::string& id,
                        const std::string& body) {
  const bool is_node = table == "nodes";
  const std::string sql = body.empty() ? absl::StrCat("DELETE FROM ", table, " WHERE ",
                                                      is_node ? "node=?2" : "node=?1 AND id=?2")
                                       : absl::StrCat("INSERT OR REPLACE INTO ", table, " VALUES (",
                                                      is_node ? "?2, ?3)" : "?1, ?2, ?3)");
  Statement write(db_, sql);
  if (!is_node) write.Bind(1, node);
  write.Bind(2, id);
  if (!body.empty()) write.Bind(3, body);
  write.Step();
  return write.done() ? absl::OkStatus() : Error("write " + table);
}

}  // namespace ringway::cp
