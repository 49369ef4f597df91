// Memory that a stream or a layer keeps for packed weights.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "threads.h"

namespace holdfast {

// Memory at a multiple of 64 bytes, in large pages where the system has them. Throws std::bad_alloc.
class Block {
  public:
    Block() = default;
    explicit Block(long bytes) {
        void* data;
        if (posix_memalign(&data, 64, std::max(bytes, 1L))) throw std::bad_alloc();
        data_.reset(data);
        prefer_large_pages(data, bytes);
    }
    void* data() const { return data_.get(); }

  private:
    std::unique_ptr<void, void (*)(void*)> data_{nullptr, std::free};
};

}  // namespace holdfast
