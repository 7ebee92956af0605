#include "dataplane/core/forward.h"

#include <cstring>

namespace ringway::dp {
namespace {

// Appends slices for a head, leaving out ranges in ascending order.
class Assembler {
 public:
  Assembler(const char* data, uint32_t from, Slice* out) : data_(data), from_(from), out_(out) {}

  void Skip(uint32_t offset, uint32_t size) {
    KeepUpTo(offset);
    from_ = offset + size;
  }
  void Insert(std::string_view text) {
    if (!text.empty()) out_[count_++] = {text.data(), text.size()};
  }
  void KeepUpTo(uint32_t offset) {
    if (offset > from_) out_[count_++] = {data_ + from_, offset - from_};
    from_ = offset;
  }
  uint32_t count() const { return count_; }

 private:
  const char* data_;
  uint32_t from_;
  Slice* out_;
  uint32_t count_ = 0;
};

uint32_t Finish(Assembler& assembler, const Cuts& cuts, uint32_t head_size, std::string_view inserted, uint32_t body) {
  for (uint32_t i = 0; i < cuts.count; ++i) assembler.Skip(cuts.at[i].offset, cuts.at[i].size);
  if (!inserted.empty()) {
    assembler.KeepUpTo(head_size - 2);
    assembler.Insert(inserted);
  }
  assembler.KeepUpTo(head_size + body);
  return assembler.count();
}

constexpr uint32_t kMovedMax = 512;

// By how much what begins at `start` was moved.
uint32_t CloseGap(char* data, uint32_t start, Cuts& cuts) {
  if (cuts.count != 1 || cuts.at[0].offset - start > kMovedMax) return 0;
  const Span gap = cuts.at[0];
  std::memmove(data + start + gap.size, data + start, gap.offset - start);
  cuts.count = 0;
  return gap.size;
}

}  // namespace

uint32_t ForwardRequestInParts(char* data, RequestHead& head, std::string_view inserted, uint32_t body, Slice* out) {
  // As in ForwardRequest; a host that the target alone names is no Host line.
  if (head.host.size > 0 && !head.host_from_target) data[head.version_offset] = '1';
  if (!head.absolute_form) {
    const uint32_t moved = CloseGap(data, head.start, head.cuts);
    head.start += moved;
    head.version_offset += moved;
  }
  Assembler assembler(data, head.start, out);
  if (head.absolute_form) {
    const uint32_t target_end = head.target.offset + head.target.size;
    const uint32_t path = head.path.size > 0 ? head.path.offset : target_end;
    const bool rootless = head.path.size == 0;
    uint32_t query = path;
    if (rootless) {
      // "http://host?query": the path is "/", or "*" for OPTIONS without a query (RFC 9112 section 3.2.4).
      query = head.path.offset > head.target.offset ? head.path.offset : target_end;
    }
    assembler.Skip(head.target.offset, query - head.target.offset);
    if (rootless) assembler.Insert(head.method == Method::kOptions && query == target_end ? "*" : "/");
  }
  return Finish(assembler, head.cuts, head.size, inserted, body);
}

uint32_t ForwardResponseInParts(char* data, ResponseHead& head, std::string_view inserted, uint32_t body, Slice* out) {
  data[head.version_offset] = '1';
  Assembler assembler(data, CloseGap(data, 0, head.cuts), out);
  return Finish(assembler, head.cuts, head.size, inserted, body);
}

}  // namespace ringway::dp
