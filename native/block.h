// Memory that a stream or a layer keeps for packed weights.
#pragma once

#include <memory>

#include "threads.h"

namespace holdfast {

// Memory at a multiple of 64 bytes, in large pages where the system has them. Throws std::bad_alloc.
class Block {
  public:
    Block() = default;
    explicit Block(long bytes) : data_(new_block(bytes), free_block) {}
    void* data() const { return data_.get(); }

  private:
    std::unique_ptr<void, void (*)(void*)> data_{nullptr, free_block};
};

}  // namespace holdfast
