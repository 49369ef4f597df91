// What a kernel is asked to compute: one layer in one direction over a batch of sequences.
//
// Sizes: B rows, up to T steps, I inputs, H units, O outputs: H, or with a projection fewer. A [B, T, ...] array has any
// strides of rows and steps, and its values lie side by side; every other array is contiguous, last index fastest.
//
//   x            [B, T, I], its values may have a stride too; what lies past a row's length is never read
//   lengths      [B], 0 to T, or null: all T
//   h0, c0       [B, O], [B, H]; c0 for the LSTM alone
//   weight_ih    [gates H, I], weight_hh [gates H, O], bias_ih, bias_hh [gates H] or null; gates as torch orders them
//   weight_hr    [O, H], of the projection: null without one
//   norm_ih      [gates H], norm_hh [gates H]: the gains of the normalised products, null without layer norm
//   norm_c       [H], norm_c_bias [H]: likewise of the LSTM's cell state on its way out
//   peephole     [2 or 3, H] or null
//   state_mask   [B, masks, O], candidate [T, B, H], zoned_h [T, B, O], zoned_c [T, B, H]: the masks, each null when that
//                option is off
//
// Forward writes all of
//   y            [B, T, O]; zero past a row's length
//   h_n, c_n     [B, O], [B, H]
//   c_all        [B, T, H] or null: the cell state after each step; not written past a row's length
// and, to be kept unchanged until backward, with the x, h0, c0, y, weights and masks of the call (both null: inference)
//   gates        `Kept::gates` values: the activated gates; backward overwrites them
//   c_before     `Kept::c_before` values (LSTM)
//   stages       `Kept::stages` values (layer norm, projection, reset before the product); backward overwrites them
//
// Backward reads dy [B, T, O], dh_n [B, O], dc_n [B, H], dc_all [B, T, H] (each may be null: zero) and writes all of
//   dx [B, T, I] (zero past a row's length), dh0 [B, O], dc0 [B, H] (each may be null: not wanted), and the gradients of
//   the parameters.
// No output may share memory with an input or another output.
//
// Products in bfloat16 are those of kernels for float, with float arrays: they round the operands themselves
// (operand.h), and so does `pack`. What they pack or keep is not for kernels of other products. Cells in stages have none.
//
// The same threads, the same bits.
#pragma once

#include <cstdint>

namespace holdfast {

enum class Kind : int { rnn, lstm, gru };
enum class Activation : int {
    tanh, sigmoid, relu, affine, hard_sigmoid, softsign, softplus, elu, exponential, leaky_relu, relu6, thresholded_relu,
    scaled_tanh
};

// An activation with the parameters that some have; gates.h says what they do.
template <class T>
struct Function {
    Activation name;
    T a = 0, b = 0;
};

// The options of a cell. `plain` says that all are at their defaults and that there are no masks or peepholes: then
// nothing is asked for again and again.
template <class T>
struct Options {
    Function<T> phi{Activation::tanh}, sigma{Activation::sigmoid}, out{Activation::tanh};  // out: of c' on its way out
    T gate_clip = 0;                 // of what goes into φ and σ; 0: none
    T phi_ends[2]{}, sigma_ends[2]{};  // what φ and σ keep at -gate_clip and gate_clip; the kernels find it
    bool coupled = false, plain = true;
    T cell_clip = 0;                 // 0: none
    T zoneout_h = 0, zoneout_c = 0;  // probabilities, for evaluation
    bool norm = false;               // layer norm of both products and, in the LSTM, of the cell state on its way out
    bool reset_before = false;       // the GRU's r acts on h before the candidate's product
    T proj_clip = 0;                 // 0: none
};

// A [B, T, ...] array; strides count elements.
template <class T>
struct Steps {
    T* data;
    long row, step;

    explicit operator bool() const { return data; }
    T* at(long b, long t) const { return data + b * row + t * step; }
};

template <class T>
struct Layer {
    Kind kind;
    Options<T> options;
    long B, T_, I, H, O;
    bool reverse;
    bool rounded;  // the operands of products are rounded to bfloat16; float only
    long threads;
    Steps<const T> x;
    long x_value;  // stride of its values
    const std::int64_t* lengths;
    const T *h0, *c0, *weight_ih, *weight_hh, *bias_ih, *bias_hh, *weight_hr, *peephole;
    const T *norm_ih, *norm_hh, *norm_c, *norm_c_bias;
    const T *state_mask, *candidate;
    long masks = 1;  // of the state: one for all gates, or one for each of them
    const std::uint8_t *zoned_h, *zoned_c;
    const T* packed;  // the weights as `pack` leaves them, or null: they are packed in the call
    Steps<T> y, c_all;
    T *h_n, *c_n, *gates, *c_before, *stages;
    Steps<const T> dy, dc_all;
    const T *dh_n, *dc_n;
    Steps<T> dx;
    T *dh0, *dc0, *dweight_ih, *dweight_hh, *dbias_ih, *dbias_hh, *dweight_hr, *dpeephole;
    T *dnorm_ih, *dnorm_hh, *dnorm_c, *dnorm_c_bias;

    // Whether units need whole rows of something that other units gave, so that a step has stages (stages.h).
    bool in_stages() const { return options.norm || options.reset_before || O != H; }
    // Row b's mask of the state for a gate; there is a state_mask.
    const T* mask(long b, long gate) const { return state_mask + (b * masks + gate) * O; }
};

// How many values a kernel keeps from forward to backward.
struct Kept {
    long gates, c_before, stages;
};

// The kernels of one instruction set.
struct Kernels {
    const char* name;
    bool (*runs_here)();
    Kept (*kept_f32)(const Layer<float>&);  // for its sizes and options
    Kept (*kept_f64)(const Layer<double>&);
    // Values that `pack` writes: the weights and biases as forward reads them, for calls with the same ones.
    long (*packed_size_f32)(const Layer<float>&);
    void (*pack_f32)(const Layer<float>&, float* out);
    long (*packed_size_f64)(const Layer<double>&);
    void (*pack_f64)(const Layer<double>&, double* out);
    void (*forward_f32)(const Layer<float>&);
    void (*backward_f32)(const Layer<float>&);
    void (*activate_f32)(Function<float>, const float* x, float* y, long count);
    void (*forward_f64)(const Layer<double>&);
    void (*backward_f64)(const Layer<double>&);
    void (*activate_f64)(Function<double>, const double* x, double* y, long count);
    double (*fma_rounds)(long rounds);  // nothing but multiply-adds; gives the number of operations
};

}  // namespace holdfast
