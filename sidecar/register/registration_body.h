// What is sent to PUT /v1/agent/service/register for one service of this container.
#pragma once

#include <chrono>
#include <string>

#include "sidecar/checks/check.h"
#include "sidecar/register/definition.h"

namespace ringway::sidecar {

// Unique in the catalog: "<id or name>-<instance>", where instance is the container's host name.
std::string UniqueServiceId(const ServiceDefinition& service, const std::string& instance);

// The check the sidecar itself keeps alive.
std::string SidecarCheckId(const std::string& service_id);

struct TtlCheck {
  std::chrono::milliseconds ttl{3000};
  std::chrono::milliseconds deregister_after{30000};  // a definition that asks for longer gets it
};

// The sidecar's check, with `status` so that one request puts a healthy instance into service; and the application's own TTL checks
// under Consul's names ("service:ID", or "service:ID:N" when the definition has several checks).
std::string BuildRegistration(const ServiceDefinition& service, const std::string& service_id,
                              const std::string& address, const TtlCheck& check, CheckStatus status);

}  // namespace ringway::sidecar
