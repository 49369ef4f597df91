// A stream: a stack of layers that takes one or a few steps per call and keeps its state between calls.
//
// Sizes: B rows, T steps. A call takes any `count` of the rows. The input is [count, T, I] and the output
// [count, T, O], both contiguous. The state is one array: per layer h [B, O], and for the LSTM then c [B, H]. It
// belongs to the caller, who may change it between calls.
//
// The results of a row do not depend on the other rows of the call, to the bit: not on their number, and not on their
// values.
//
//   input linear layer   optional
//   layers               a `residual` layer adds its input to its output
//   output linear layer  optional
//
// The constructor packs or copies all parameters. A call either does all of its steps or throws and leaves the state
// unchanged.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "block.h"
#include "dispatch.h"
#include "threads.h"

namespace holdfast {

// y = W x + b.
template <class T>
class Linear {
  public:
    Linear() = default;
    // weight [outputs, inputs]; a null bias is 0.
    Linear(const Kernels& kernels, Storage storage, long inputs, long outputs, const T* weight, const T* bias);

    long inputs = 0, outputs = 0;  // 0 outputs: no layer
    void operator()(const T* x, long rows, long threads, T* y) const;

  private:
    const Kernels* kernels_ = nullptr;
    Storage storage_ = Storage::float32;
    Block packed_;                     // float
    std::vector<double> weight_, bias_;  // double; the weight transposed: [inputs, outputs]
};

// One recurrent layer. `call` holds everything that stays the same from step to step. `pack` packs or copies its
// parameters, which the caller may then free.
template <class T>
struct StreamLayer {
    Layer<T> call{};
    bool residual = false;

    void pack(const Kernels& kernels, Storage storage);
    void operator()(const Kernels& kernels, const Layer<T>& layer) const;

  private:
    Storage storage_ = Storage::float32;
    Block packed_;
    std::vector<T> peephole_, norm_c_, norm_c_bias_;
};

template <class T>
class Stream {
  public:
    // Double has only its own storage.
    Stream(const Kernels& kernels, Storage storage, long B, std::vector<StreamLayer<T>> layers, Linear<T> input,
           Linear<T> output);

    const long B, I, O, state_size;
    // Whether this number of steps, of all rows together, takes long enough to be worth waking other threads.
    bool is_large(long steps) const { return sanitized || steps * products_ > (1L << 21); }
    // Takes `steps` steps of each of `count` rows; `rows` has their numbers, which differ. Null: all B rows.
    void advance(const T* x, long steps, T* y, T* state, const std::int64_t* rows, long count);
    void advance(const T* x, long steps, T* y, T* state) { advance(x, steps, y, state, nullptr, B); }

  private:
    using Buffer = std::unique_ptr<T[]>;
    struct Buffers {
        Buffer after_input, between[2];
    };
    Buffers buffers(long steps) const;
    // Calls f(where the part of a row's state is among `count` rows, where it is among B rows, values), for all parts.
    template <class F>
    void over_state(const std::int64_t* rows, long count, F f) const;

    const Kernels& kernels_;
    std::vector<StreamLayer<T>> layers_;
    Linear<T> input_, output_;
    long products_, widest_;  // products_: of a step of one row
    Buffers one_step_;
    Buffer before_, next_;  // the state of the rows of a call
};

}  // namespace holdfast
