// The origin's answers, each built once and sent from memory that stays: a send of it needs no completion to free anything.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <memory>
#include <string>
#include <vector>

#include "bench/compare/tools/request_head.h"

namespace ringway::bench {

struct BuiltAnswer {
  Answer key;
  std::string head;          // with the whole body behind it when that is small
  std::string tail;          // chunked: the last, shorter chunks
  std::vector<iovec> parts;  // head, body from the shared block, tail
  msghdr message{};          // `parts`
};

class Answers {
 public:
  Answers();
  // The same pointer for the same answer, valid as long as this.
  const BuiltAnswer* Get(const Answer& answer);

 private:
  std::unique_ptr<BuiltAnswer> Build(const Answer& answer);
  void AppendBody(BuiltAnswer& built, const std::string& block, size_t unit);

  std::string plain_;    // a block of body
  std::string chunks_;   // a block of whole chunks
  std::vector<std::unique_ptr<BuiltAnswer>> built_;
};

}  // namespace ringway::bench
