// The parameters of a layer, or of a linear layer, as streams read them.
#pragma once

#include "stages.h"
#include "step_products.h"

namespace holdfast::HOLDFAST_ISA {

// Where the parameters of a layer are in its packed block.
struct StepWeights {
    Panels panels, outputs;  // of the gates, and of the projection
    StepMatrix state, input, last;  // `last`: the projection, or the product of the GRU's candidate with r h
    const float *bias, *gains[2];   // [panels][width]; the gains of the normalised x and h products
    const std::byte *state_at, *input_at, *last_at;
    long bytes;

    StepWeights(const Layer<float>& l, Storage storage, const void* block) : panels(Panels::of(l)) {
        const bool gru = l.kind == Kind::gru, resets = l.options.reset_before;
        const long slots = panels.columns(), columns = gru ? 3 : slots;
        outputs = Panels::in_panels_of(4, l.O, panels.W);
        state = StepMatrix(storage, panels, l.O, columns - resets, resets ? 1 : slots - 1);
        input = StepMatrix(storage, panels, l.I, columns, columns - 1);
        if (resets) last = StepMatrix(storage, panels, l.H, 1, 3);
        if (l.O != l.H) last = StepMatrix(storage, outputs, l.H, 4, 3);
        const long values = (panels.count * panels.width() * long(sizeof(float)) + 63) / 64 * 64;
        const auto* at = static_cast<const std::byte*>(block);
        auto take = [&](long size) { return std::exchange(at, at + size); };
        bias = reinterpret_cast<const float*>(take(values));
        for (auto& gain : gains) gain = reinterpret_cast<const float*>(take(l.options.norm ? values : 0));
        state_at = take(state.bytes());
        input_at = take(input.bytes());
        last_at = take(last.bytes());
        bytes = at - static_cast<const std::byte*>(block);
    }

    void pack(const Layer<float>& l) const {
        const Share all_panels{0, panels.count};
        for (long q = 0; q < panels.count; q++)
            for (long n = 0; n < panels.columns(); n++) {
                const bool x_only = l.kind == Kind::gru && n == 2, h_only = l.kind == Kind::gru && n == 3;
                const long row = panels.row(q, n), count = panels.lanes_of(q, n);
                Vec<float> sum{};
                if (l.bias_ih && !h_only) sum = load_some<float>(l.bias_ih + row, count);
                if (l.bias_hh && !x_only) sum = sum + load_some<float>(l.bias_hh + row, count);
                store<float>(const_cast<float*>(bias) + q * panels.width() + n * panels.W, sum);
            }
        if (l.options.norm)
            for (bool of_state : {false, true})
                spread_over_columns<float>(panels, of_state ? l.norm_hh : l.norm_ih, of_state, all_panels,
                                           const_cast<float*>(gains[of_state]));
        state.pack(l.weight_hh, const_cast<std::byte*>(state_at));
        input.pack(l.weight_ih, const_cast<std::byte*>(input_at));
        if (last.bytes()) last.pack(l.O != l.H ? l.weight_hr : l.weight_hh, const_cast<std::byte*>(last_at));
    }
};

// The same of a linear layer, y = W x + b.
struct LinearWeights {
    Panels panels;
    StepMatrix matrix;
    const float* bias;
    const std::byte* matrix_at;
    long bytes;

    LinearWeights(long inputs, long outputs, Storage storage, const void* block)
        : panels(Panels::in_panels_of(4, outputs, lanes<float>)), matrix(storage, panels, inputs, 4, 3),
          bias(static_cast<const float*>(block)) {
        const long values = (panels.padded * long(sizeof(float)) + 63) / 64 * 64;
        matrix_at = static_cast<const std::byte*>(block) + values;
        bytes = values + matrix.bytes();
    }
    void pack(const float* w, const float* b) const {
        auto* to = const_cast<float*>(bias);
        std::fill_n(to, panels.padded, 0.0f);
        if (b) std::copy_n(b, panels.H, to);
        matrix.pack(w, const_cast<std::byte*>(matrix_at));
    }
};

}  // namespace holdfast::HOLDFAST_ISA
