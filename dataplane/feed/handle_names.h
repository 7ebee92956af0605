// What handles are called, for the access log's thread: written on the main thread when something joins, read by that one. A name
// stays until its handle is given to another thing: what is still to be logged of one that has left has its name.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/feed.h"
#include "dataplane/core/backend_map.h"

namespace ringway::dp {

class HandleNames {
 public:
  // Valid while the lock is held.
  class Reader {
   public:
    explicit Reader(const HandleNames& names) : names_(names), lock_(names.mutex_) {}
    std::string_view Listener(ListenerHandle handle) const { return At(names_.listeners_, handle); }
    std::string_view Service(ServiceHandle handle) const { return At(names_.services_, handle); }
    std::string_view Endpoint(EndpointHandle handle) const { return At(names_.endpoints_, handle); }
    std::string_view EndpointAddress(EndpointHandle handle) const { return At(names_.addresses_, handle); }

   private:
    static std::string_view At(const std::vector<std::string>& names, uint32_t handle) {
      return handle < names.size() ? std::string_view(names[handle]) : std::string_view();
    }
    const HandleNames& names_;
    const std::lock_guard<std::mutex> lock_;
  };

  void SetListener(ListenerHandle handle, const std::string& name) { Set(listeners_, handle, name); }
  void SetService(ServiceHandle handle, const std::string& name) { Set(services_, handle, name); }
  void SetEndpoint(EndpointHandle handle, const api::Endpoint& endpoint) {
    const bool v6 = endpoint.address.find(':') != std::string::npos;
    Set(endpoints_, handle, endpoint.id);
    Set(addresses_, handle, (v6 ? "[" + endpoint.address + "]:" : endpoint.address + ":") + std::to_string(endpoint.port));
  }

 private:
  void Set(std::vector<std::string>& names, uint32_t handle, const std::string& name) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (names.size() <= handle) names.resize(handle + 1);
    names[handle] = name;
  }

  mutable std::mutex mutex_;
  std::vector<std::string> listeners_, services_, endpoints_, addresses_;  // by handle
};

}  // namespace ringway::dp
