// A balancer over one service, for the tests of choices and of health.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dataplane/core/balance.h"

namespace ringway::dp {

inline constexpr ServiceHandle kService = 5;

inline std::shared_ptr<ServiceEntry> ServiceOf(Balance balance, const std::vector<uint32_t>& handles) {
  auto service = std::make_shared<ServiceEntry>();
  service->handle = kService;
  service->balance = balance;
  for (const uint32_t handle : handles) service->ready.push_back({handle, {}, 1});
  return service;
}

inline BackendMap MapOf(std::shared_ptr<const ServiceEntry> service) {
  BackendMap map;
  map.services.resize(kService + 1);
  map.services[kService] = std::move(service);
  return map;
}

inline BackendMap MapOf(Balance balance, const std::vector<uint32_t>& handles, const std::vector<uint32_t>& weights = {},
                        const std::vector<uint32_t>& schedule = {}) {
  auto service = ServiceOf(balance, handles);
  for (size_t i = 0; i < weights.size(); ++i) service->ready[i].weight = weights[i];
  service->schedule = schedule;
  return MapOf(std::move(service));
}

class BalancerTest : public testing::TestWithParam<Balance> {
 protected:
  std::vector<EndpointHandle> Adopt(const BackendMap& map, uint64_t now_us = 0) {
    std::vector<EndpointHandle> left;
    changed_.clear();
    balancer_.Adopt(map, now_us, [&](EndpointHandle handle) { left.push_back(handle); },
                    [&](ServiceHandle handle) { changed_.push_back(handle); });
    return left;
  }
  EndpointHandle Choose(std::vector<EndpointHandle> tried = {}, uint64_t now_us = 0) {
    const Choice choice = balancer_.Choose(kService, tried.data(), static_cast<uint32_t>(tried.size()), now_us);
    full_ = choice.full;
    return choice.endpoint == nullptr ? kNoHandle : choice.endpoint->handle;
  }
  Balancer balancer_{1};
  std::vector<ServiceHandle> changed_;
  bool full_ = false;  // the last choice met one without room
};

}  // namespace ringway::dp
