// A stream: layers one above the other that take a step, or a few, at a time and keep their state between the calls.
//
// Sizes: B rows, T steps; the input is [B, T, I], the output [B, T, O], both contiguous. The state is one array, for each
// layer h [B, O] and then, for the LSTM, c [B, H]; it belongs to the caller, who may read and change it between calls.
//
//   input linear layer   if there is one
//   layers               one that is `residual` adds its input to its output
//   output linear layer  if there is one
//
// The weights are packed once and kept so, with copies of what is read as it is. A call either does all of its steps or,
// when it throws, leaves the state as it was.
#pragma once

#include <memory>
#include <vector>

#include "dispatch.h"
#include "threads.h"

namespace holdfast {

// y = W x + b.
template <class T>
struct Linear {
    long inputs = 0, outputs = 0;  // no outputs: there is no such layer
    std::vector<T> weight, bias;   // the weight transposed: [inputs, outputs]

    Linear() = default;
    Linear(long inputs, long outputs, const T* weight, const T* bias);  // weight [outputs, inputs]
    void operator()(const T* x, long rows, T* y) const;
};

// One recurrent layer: `call` has everything that stays the same from step to step. Its parameters need to be there until
// it is packed.
template <class T>
struct StreamLayer {
    Layer<T> call{};
    bool residual = false;
    std::vector<T> memory, peephole, norm_c, norm_c_bias;

    void pack(const Kernels& kernels);
};

template <class T>
class Stream {
  public:
    Stream(const Kernels& kernels, long B, std::vector<StreamLayer<T>> layers, Linear<T> input, Linear<T> output);

    const long B, I, O, state_size;
    // Whether so many steps take long enough for other threads to be worth waking.
    bool is_large(long steps) const { return sanitized || steps * products_ > (1L << 21); }
    void advance(const T* x, long steps, T* y, T* state);

  private:
    using Buffer = std::unique_ptr<T[]>;
    struct Buffers {
        Buffer after_input, between[2];
    };
    Buffers buffers(long steps) const;

    const Kernels& kernels_;
    std::vector<StreamLayer<T>> layers_;
    Linear<T> input_, output_;
    long products_, widest_;
    Buffers one_step_;
    Buffer next_;
};

}  // namespace holdfast
