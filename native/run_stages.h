// A call for a cell in stages: takes the memory, packs the weights, and runs the threads.
#pragma once

#include "stages_backward.h"
#include "stages_forward.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, int N>
void run_stages_forward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    using Weights = ForwardWeights<T, kind, N>;
    const long kept_rows = l.T_ * l.B * long(sizeof(T));
    if (l.gates) {
        prefer_large_pages(l.gates, kept_rows * p.count * p.width());
        prefer_large_pages(l.stages, StagesKept<T>::of(l, p, l.T_, nullptr).size * long(sizeof(T)));
        if (l.c_before) prefer_large_pages(l.c_before, kept_rows * p.padded);
    }
    run_in_team(l, p, [&](Team& team) {
        const long most = most_rows(team.rows), weights = Weights::size(l, p);
        Scratch& scratch = Scratch::begin();
        StagesForwardMemory<T> m{};
        T* packed = l.packed ? nullptr : scratch.take<T>(weights + StagesWeights<T>::size(l, p));
        take_forward_memory(l, p, team, scratch, m);
        m.packed = l.packed ? l.packed : packed;
        m.packed_stages = m.packed + weights;
        m.gates = l.gates ? l.gates : scratch.take<T>(p.count * l.B * p.width());
        m.norm = NormMemory<T>::take(scratch, team.threads, l.options.norm ? Parts<kind, N>::all : 0, most);
        m.kept = StagesKept<T>::of(l, p, 1, nullptr);
        m.kept = StagesKept<T>::of(l, p, l.gates ? l.T_ : 1, l.gates ? l.stages : scratch.take<T>(m.kept.size));
        return [&, m, packed, weights](long thread) {
            if (packed) {
                Weights::pack(l, p, Share::of(p.count, thread, team.threads), packed);
                StagesWeights<T>::pack(l, p, thread, team.threads, packed + weights);
                team.wait_for_all();
            }
            StagesForward<T, kind, N>(l, p, team, thread, m).run();
        };
    });
}

template <class T, Kind kind, int N>
void run_stages_backward(const Layer<T>& l) {
    const Panels p = Panels::of(l);
    const bool norm = l.options.norm, projects = l.O != l.H, resets = l.options.reset_before;
    const Panels outputs = projects ? Panels::in_panels_of(N, l.O, p.W) : p;
    using Weights = BackwardWeights<T, kind, N>;
    constexpr int columns = Weights::columns;
    const Matrix<T> last = projects ? Matrix<T>{l.weight_hr, l.O, l.H, outputs.padded, false, l.rounded}
                           : resets ? Matrix<T>{l.weight_hh + 2 * l.H * l.H, l.H, l.H, l.H, false, l.rounded}
                                    : Matrix<T>{nullptr, 0, 0, 0, false, false};
    run_in_team(l, p, [&](Team& team) {
        Scratch& scratch = Scratch::begin();
        StagesBackwardMemory<T> m{};
        m.packed_h = scratch.take<T>(Weights::size(p, l.O));
        m.packed_x = l.dx ? scratch.take<T>(Weights::size(p, l.I)) : nullptr;
        m.packed_last = scratch.take<T>(last.packed_size());
        m.gains = scratch.take<T>(norm ? 2 * p.count * p.width() : 0);
        m.places = StagesSums::of(l, p);
        m.sums = scratch.take<T>(team.threads * m.places.size);
        m.dh = scratch.take<T>(l.B * outputs.padded);
        m.dc = scratch.take<T>(kind == Kind::lstm ? l.B * p.padded : 0);
        m.dinner = scratch.take<T>(projects || resets ? l.B * p.padded : 0);
        m.dcell = scratch.take<T>(kind == Kind::lstm && norm ? l.B * p.padded : 0);
        m.norm = NormMemory<T>::take(scratch, team.threads, norm ? Parts<kind, N>::all : 0, most_rows(team.rows));
        m.kept = StagesKept<T>::of(l, p, l.T_, l.stages);
        using Sum = WeightSum<T, kind, N>;
        const StagesKept<T>& k = m.kept;
        const T *d_input = norm ? k.input : l.gates, *d_state = norm ? k.state : l.gates;
        T *bias_ih = norm ? nullptr : l.dbias_ih, *bias_hh = norm ? nullptr : l.dbias_hh;
        auto sums = state_sums<T, kind, N>(l, d_state, bias_hh);
        sums.add(Sum::template of<columns, columns - 1>(Sum::Left::input, l.I, d_input, l.dweight_ih, bias_ih));
        auto from_inner = [&](Sum sum) {
            sum.rows = k.inner;
            sum.step = k.inner_step;
            sum.row = k.inner_row;
            return sum;
        };
        if constexpr (kind == Kind::gru)
            if (resets)  // the candidate's left factor is r h
                sums.add(from_inner(Sum::template of<1, 3>(Sum::Left::rows, l.H, d_state, l.dweight_hh, bias_hh)));
        const WeightGradients<T, kind, N> gradients(l, p, team, scratch, sums);
        WeightSums<T, kind, N> projection_sums;
        if constexpr (kind == Kind::lstm)
            if (projects)
                projection_sums.add(
                    from_inner(Sum::template of<N, N - 1>(Sum::Left::rows, l.H, k.projected, l.dweight_hr, nullptr)));
        const WeightGradients<T, kind, N> projection(l, outputs, team, scratch, projection_sums);
        return [&, m, gradients, projection](long thread) {
            Weights::pack(l, p, true, Share::of(panels_of_4(l.O, p.W), thread, team.threads), m.packed_h);
            if (l.dx) Weights::pack(l, p, false, Share::of(panels_of_4(l.I, p.W), thread, team.threads), m.packed_x);
            last.pack(Share::of(panels_of_4(last.outputs(), p.W), thread, team.threads), m.packed_last);
            const Share panels = Share::of(p.count, thread, team.threads);
            if (norm)
                for (bool state : {false, true})
                    spread_over_columns<T>(p, state ? l.norm_hh : l.norm_ih, state, panels,
                                           m.gains + state * p.count * p.width());
            team.wait_for_all();
            StagesBackward<T, kind, N>(l, p, outputs, team, thread, m).run();
            team.wait_for_all();
            gradients.run(thread);
            if (projects) projection.run(thread);
            if (thread == 0) write_sums(l, p, team, m.places, m.sums);
        };
    });
}

}  // namespace holdfast::HOLDFAST_ISA
