// The contract of a kernel: one layer in one direction over a batch of sequences.
//
// A training step of an LSTM without options, for T = float (a member that is not set is null or off):
//
//     const Kernels& kernels = chosen_kernels();              // dispatch.h
//     Layer<float> l{.kind = Kind::lstm, .B = B, .T_ = T, .I = I, .H = H, .O = H, .threads = 2};
//     l.x = {x, T * I, I};                                    // x: [B, T, I]
//     l.weight_ih = w_ih; l.weight_hh = w_hh; l.h0 = h0; l.c0 = c0;
//     l.y = {y, T * H, H}; l.h_n = h_n; l.c_n = c_n;          // y: [B, T, H]
//     const Kept kept = kernels.kept_f32(l);
//     l.gates = allocate(kept.gates); l.c_before = allocate(kept.c_before);
//     kernels.forward_f32(l);
//     l.dy = {dy, T * H, H}; l.dweight_ih = dw_ih; l.dweight_hh = dw_hh;
//     kernels.backward_f32(l);
//
// Sizes. B rows, up to T steps, I inputs, H units, O outputs (O = H without a projection), G gates in torch's order: G
// is 1 for the RNN, 3 for the GRU and the coupled LSTM, 4 for the LSTM.
//
// Memory. The caller allocates every array, and frees it. The kernels' own working memory stays with the threads
// (threads.h). A [B, T, ...] array may have any strides of rows and steps; the values of a step are contiguous. Every
// other array is contiguous, last index fastest.
//
// Aliasing. No output may share memory with an input or with another output; but the y of one step may be h_n. Inputs
// may share memory.
//
// Survival. Backward reads the inputs of forward again, and y, gates, c_before and stages. All must be unchanged when
// backward starts. Backward overwrites gates and stages, so one forward serves one backward.
//
// Inference. With `gates` null, forward keeps nothing for backward; c_before and stages must then be null too.
//
// bfloat16. Kernels with products in bfloat16 take float arrays and round the operands themselves (operand.h). What
// they pack or keep is only for the same kernels.
//
// The same call with the same number of threads gives the same bits.
#pragma once

#include <cstdint>

namespace holdfast {

enum class Kind : int { rnn, lstm, gru };
enum class Activation : int {
    tanh, sigmoid, relu, affine, hard_sigmoid, softsign, softplus, elu, exponential, leaky_relu, relu6,
    thresholded_relu, scaled_tanh
};

// An activation with its parameters; activations.h says what they mean.
template <class T>
struct Function {
    Activation name;
    T a = 0, b = 0;
};

// The options of a cell. `plain` promises that all are at their defaults and that the call has no masks and no
// peepholes, so the inner loop has no option checks.
template <class T>
struct Options {
    Function<T> phi{Activation::tanh}, sigma{Activation::sigmoid};
    Function<T> psi{Activation::tanh};  // of c' where h' = o ψ(c')
    T gate_clip = 0;                    // bound of the arguments of φ and σ; 0: no clip
    T phi_ends[2]{}, sigma_ends[2]{};   // what φ and σ store for -gate_clip and gate_clip; the kernels set it
    bool coupled = false, plain = true;
    T cell_clip = 0;                    // bound of c'; 0: no clip
    T zoneout_h = 0, zoneout_c = 0;     // probabilities, for evaluation (no zoneout masks)
    bool norm = false;                  // layer norm of both products and, in the LSTM, of c' before ψ
    bool reset_before = false;          // the GRU's r multiplies h before the candidate's product
    T proj_clip = 0;                    // bound of the projected h'; 0: no clip
};

// A [B, T, ...] array. Strides count values.
template <class T>
struct Steps {
    T* data = nullptr;
    long row = 0, step = 0;

    explicit operator bool() const { return data; }
    T* at(long b, long t) const { return data + b * row + t * step; }
};

template <class T>
struct Layer {
    Kind kind;
    Options<T> options{};
    long B = 0, T_ = 0, I = 0, H = 0, O = 0;
    bool reverse = false;  // from each row's last step to its first
    bool rounded = false;  // round the operands of products to bfloat16; float only
    long threads = 1;      // the most that the call may use

    // Inputs of forward.
    Steps<const T> x{};                     // [B, T, I]; steps past a row's length are never read
    long x_value = 1;                       // the stride of x's values: x alone may have one
    const std::int64_t* lengths = nullptr;  // [B], each from 0 to T; null: all T
    const T* h0 = nullptr;                  // [B, O]
    const T* c0 = nullptr;                  // [B, H], LSTM only
    const T* weight_ih = nullptr;           // [G H, I]
    const T* weight_hh = nullptr;           // [G H, O]
    const T* bias_ih = nullptr;             // [G H]; null: no bias
    const T* bias_hh = nullptr;             // [G H]; null: no bias
    const T* packed = nullptr;              // what `pack` wrote; null: the call packs the parameters itself

    // Inputs of options. Null: the option is off.
    const T* weight_hr = nullptr;           // [O, H], the projection
    const T* peephole = nullptr;            // [2 or 3, H]: p_i, p_f, p_o; without p_f when coupled
    const T* norm_ih = nullptr;             // [G H], the gain of the normalised x product
    const T* norm_hh = nullptr;             // [G H], the gain of the normalised h product
    const T* norm_c = nullptr;              // [H], the gain of the normalised c', LSTM only
    const T* norm_c_bias = nullptr;         // [H], the shift of the normalised c', LSTM only
    const T* state_mask = nullptr;          // [B, masks, O], dropout of h in the recurrent product
    long masks = 1;                         // masks per row: one for all gates, or one for each gate
    const T* candidate = nullptr;           // [T, B, H], dropout of the candidate g or n
    const std::uint8_t* zoned_h = nullptr;  // [T, B, O], nonzero where h keeps its old value
    const std::uint8_t* zoned_c = nullptr;  // [T, B, H], nonzero where c keeps its old value

    // Outputs of forward.
    Steps<T> y{};      // [B, T, O]; zero past a row's length
    Steps<T> c_all{};  // [B, T, H], c after each step, LSTM only; null: not wanted. Not written past a row's length
    T* h_n = nullptr;  // [B, O], h after each row's last step
    T* c_n = nullptr;  // [B, H], c after each row's last step, LSTM only

    // Forward writes these for backward; `kept_f32` and `kept_f64` say how many values each has. Null: inference.
    T* gates = nullptr;     // Kept::gates values, what the activations store; backward overwrites them
    T* c_before = nullptr;  // Kept::c_before values, c before each step, LSTM only
    T* stages = nullptr;    // Kept::stages values, for a cell in stages; backward overwrites them

    // Inputs of backward. Null: the gradient is zero.
    Steps<const T> dy{};        // [B, T, O]
    Steps<const T> dc_all{};    // [B, T, H], LSTM only
    const T* dh_n = nullptr;    // [B, O]
    const T* dc_n = nullptr;    // [B, H], LSTM only

    // Outputs of backward. dx, dh0, dc0 and the bias gradients may be null: not wanted. The gradient of every other
    // parameter of the call must be there. Backward writes all values and adds to none.
    Steps<T> dx{};              // [B, T, I]; zero past a row's length
    T* dh0 = nullptr;           // [B, O]
    T* dc0 = nullptr;           // [B, H], LSTM only
    T* dweight_ih = nullptr;    // each as its parameter
    T* dweight_hh = nullptr;
    T* dbias_ih = nullptr;
    T* dbias_hh = nullptr;
    T* dweight_hr = nullptr;
    T* dpeephole = nullptr;
    T* dnorm_ih = nullptr;
    T* dnorm_hh = nullptr;
    T* dnorm_c = nullptr;
    T* dnorm_c_bias = nullptr;

    // Whether a unit needs results of other units within a step, so that each step has stages (stages.h).
    bool in_stages() const { return options.norm || options.reset_before || O != H; }
    // G.
    long gate_count() const { return kind == Kind::rnn ? 1 : kind == Kind::gru || options.coupled ? 3 : 4; }
    // Row b's state mask for a gate; only with a state_mask.
    const T* mask(long b, long gate) const { return state_mask + (b * masks + gate) * O; }
};

// How many values forward keeps for backward, per array.
struct Kept {
    long gates, c_before, stages;
};

// How the weights of a stream are stored; step_products.h says what each means.
enum class Storage : int { float32, bfloat16, int8 };

// A linear layer on rows, y = W x + b; x and y are contiguous.
struct LinearCall {
    long rows, inputs, outputs, threads;
    Storage storage;
    const void* packed;
    const float* x;
    float* y;
};

// The kernels of one instruction set.
struct Kernels {
    const char* name;
    bool (*runs_here)();
    // Both need the kind, the options and the sizes of the layer, and no arrays.
    Kept (*kept_f32)(const Layer<float>&);
    Kept (*kept_f64)(const Layer<double>&);
    // Whether a call without packed weights reads them where they are, so that packing is of no use to it.
    bool (*in_place_f32)(const Layer<float>&);
    bool (*in_place_f64)(const Layer<double>&);
    // `pack` writes `packed_size` values to out, as `packed` of any number of calls of forward. These calls read no
    // weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, norm_ih and norm_hh.
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
    // A number that follows from the bits of an array and from `before`, the number of the arrays before it
    // (fingerprint.h).
    std::uint64_t (*fingerprint)(const void* data, long bytes, std::uint64_t before);
    // For streams, with weights in any storage. The results of a row do not depend on the other rows, to the bit.
    // `pack_steps` writes a block of `steps_bytes` bytes to an address that is a multiple of 64. A call of `steps` has
    // it as `packed`; it has no lengths and no masks, runs forward in time, and writes only y, h_n and c_n. The same
    // for a linear layer.
    long (*steps_bytes)(const Layer<float>&, Storage);
    void (*pack_steps)(const Layer<float>&, Storage, void* out);
    void (*steps)(const Layer<float>&, Storage);
    long (*linear_bytes)(long inputs, long outputs, Storage);
    void (*pack_linear)(long inputs, long outputs, Storage, const float* weight, const float* bias, void* out);
    void (*linear)(const LinearCall&);
};

}  // namespace holdfast
