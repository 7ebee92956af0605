// Bytes of bodies and streams as a function of a key and their offset: whoever reads one knows which must come next.
#pragma once

#include <cstdint>
#include <string>

namespace ringway::sim {

inline uint64_t ContentKey(uint32_t request, uint32_t attempt, bool from_client) {
  return uint64_t{request} << 8 | uint64_t{attempt & 0x7f} << 1 | (from_client ? 1 : 0);
}

// Eight bytes at a time.
class Content {
 public:
  explicit Content(uint64_t key = 0) : key_(key * 0x9e3779b97f4a7c15u + 1) {}
  char At(uint64_t offset) {
    if (offset / 8 != block_) {
      block_ = offset / 8;
      uint64_t z = (key_ + block_) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 29)) * 0x94d049bb133111ebu;
      word_ = z ^ (z >> 32);
    }
    return static_cast<char>(word_ >> (offset % 8 * 8));
  }
  void Append(std::string& out, uint64_t from, uint64_t size) {
    for (uint64_t i = from; i < from + size; ++i) out.push_back(At(i));
  }

 private:
  uint64_t key_;
  uint64_t block_ = ~uint64_t{0};
  uint64_t word_ = 0;
};

}  // namespace ringway::sim
