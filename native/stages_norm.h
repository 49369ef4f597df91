// Layer norm of the cells in stages, in one thread: of the products and of c', forward above backward.
#pragma once

#include "stages.h"
#include "stages_sums.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, int N>
class StagesNorm : protected StagesThread<T, kind, N> {
    using Base = StagesThread<T, kind, N>;

  protected:
    using P = typename Base::P;
    using Base::l_, Base::p_, Base::team_, Base::thread_, Base::member_, Base::resets_, Base::panels_, Base::norms_;
    using Base::gates_, Base::step_, Base::W, Base::width, Base::gru, Base::row;

    // gains: of both products, in the order of the panels' columns.
    StagesNorm(const Layer<T>& l, const Panels& p, Team& team, long thread, const NormMemory<T>& norm, const T* gains)
        : Base(l, p, team, thread, norm), gains_(gains) {}

    // Adds the products of rows `begin` to `end` (excluded) of panel q to the sums of each row's norm.
    void add_products(long q, long begin, long end) {
        is_whole(q) ? add_products<true>(q, begin, end) : add_products<false>(q, begin, end);
    }
    template <bool whole>
    void add_products(long q, long begin, long end) {
        const bool begins = q == panels_.begin;
        for (int k = 0; k < P::count - resets_; k++) {
            const Part part = P::of(k);
            const T* v = row(step_.products[part.state], q, begin) + part.begin * W;
            for (long r = begin; r < end; r++, v += width)
                norms_.add(k, r, begins, v, gru ? part.end - part.begin : N,
                           [&](long n) { return whole ? W : p_.lanes_of(q, part.begin + n); });
        }
    }

    // Computes the means and scales of the parts from `begin` to `end` (excluded) over whole rows, of which this
    // thread has added its own panels.
    void normalise(int begin, int end, long n, Share panels) {
        if (exchange(begin, end, n, panels, false)) {  // all threads of the group get the same answer
            team_.wait(thread_);                       // until all have read what is published again now
            for (int part = begin; part < end; part++)
                for (long r = 0; r < n; r++)
                    if (norms_.overflowed(part, r)) add_smaller(part, r, panels);
            exchange(begin, end, n, panels, true);
        }
        if (l_.gates && member_ == 0)
            for (int part = begin; part < end; part++)
                for (long r = 0; r < n; r++) step_.scales[r * StagesKept<T>::parts + part] = norms_.scale(part, r);
    }
    // Returns whether the sums of a row overflowed.
    bool exchange(int begin, int end, long n, Share panels, bool again) {
        bool overflowed = false;
        for (int part = begin; part < end; part++)
            norms_.publish(part, n, values_of(panels) * (part < P::count ? P::gates(part) : 1));
        team_.wait(thread_);
        for (int part = begin; part < end; part++) overflowed |= norms_.collect(part, n, again);
        return overflowed;
    }

    // Scales this thread's values of a row down and adds them up once more.
    void add_smaller(int part, long r, Share panels) {
        const Part of = part < P::count ? P::of(part) : Part{false, 0, 1};
        const long vectors = of.end - of.begin;
        for (long q = panels.begin; q < panels.end; q++) {
            T* v = part < P::count ? row(step_.products[of.state], q, r) + of.begin * W
                                   : step_.cell + r * p_.padded + q * W;
            for (long k = 0; k < vectors; k++) store<T>(v + k * W, load<T>(v + k * W) * Norm<T>::smaller);
            norms_.add(part, r, q == panels.begin, v, vectors, [&](long k) { return p_.lanes_of(q, of.begin + k); });
        }
    }

    // A column of a product, normalised by `normal`, times its gain.
    template <bool whole = false>
    HF_INLINE Vec<T> normalised(const Normal<T>& normal, bool state, long q, long r, long column) {
        T* a = row(step_.products[state], q, r) + column * W;
        Vec<T> y = normal(load<T>(a));
        if (!whole) y = only<T>(y, p_.lanes_of(q, column));
        if (l_.gates) store<T>(a, y);
        return y * load<T>(gain(state, q) + column * W);
    }

    // The gates' sums of row r, from the normalised products.
    HF_INLINE void sum_normalised(long q, long r, const T* bias, T* g) {
        is_whole(q) ? sum_normalised<true>(q, r, bias, g) : sum_normalised<false>(q, r, bias, g);
    }
    template <bool whole>
    HF_INLINE void sum_normalised(long q, long r, const T* bias, T* g) {
        const Normal<T> of_input = norms_.normal(0, r), of_state = norms_.normal(1, r);
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            Vec<T> sum = load<T>(bias + n * W);
            if (!(gru && n == 3))
                sum = sum + normalised<whole>(gru && n == 2 ? norms_.normal(2, r) : of_input, false, q, r, n);
            if (!(gru && n == 2) && !(gru && n == 3 && resets_))
                sum = sum + normalised<whole>(gru && n == 3 ? norms_.normal(3, r) : of_state, true, q, r, n);
            store<T>(g + n * W, sum);
        }
    }

    // Adds the rows of a panel to the gradients of gains and biases, which are in a thread's sums, and to the sums of
    // each row's norm.
    void add_gradients(int number, long q, long n, const StagesSums& places, T* sums) {
        if constexpr (gru)
            number < 2 ? add_gradients<2>(number, q, n, places, sums) : add_gradients<1>(number, q, n, places, sums);
        else
            add_gradients<N>(number, q, n, places, sums);
    }
    template <int vectors>
    void add_gradients(int number, long q, long n, const StagesSums& places, T* sums) {
        const Part part = P::of(number);
        const long at = part.begin * W;
        const T *d = row(gates_, q, 0) + at, *y = row(step_.products[part.state], q, 0) + at;
        const T* gain = this->gain(part.state, q) + at;
        T *dgain = sums + places.gain(part.state) + q * width + at, *dbias = dgain + places.columns;
        Vec<T> gains[vectors], dgains[vectors], dbiases[vectors];
#pragma GCC unroll 4
        for (int k = 0; k < vectors; k++) {
            gains[k] = load<T>(gain + k * W);
            dgains[k] = load<T>(dgain + k * W);
            dbiases[k] = load<T>(dbias + k * W);
        }
        for (long r = 0; r < n; r++, d += width, y += width) {
            Vec<T> sum{}, products{};
#pragma GCC unroll 4
            for (int k = 0; k < vectors; k++) {
                const Vec<T> dk = load<T>(d + k * W), yk = load<T>(y + k * W), scaled = dk * gains[k];
                dgains[k] = dgains[k] + dk * yk;
                dbiases[k] = dbiases[k] + dk;
                sum = sum + scaled;
                products = products + scaled * yk;
            }
            norms_.add_gradient(number, r, sum, products);
        }
#pragma GCC unroll 4
        for (int k = 0; k < vectors; k++) {
            store<T>(dgain + k * W, dgains[k]);
            store<T>(dbias + k * W, dbiases[k]);
        }
    }

    // Combines the sums of the group's threads for the norms of parts.
    void share_gradients(int begin, int end, long n) {
        for (int part = begin; part < end; part++) norms_.publish_gradients(part, n);
        team_.wait(thread_);
        for (int part = begin; part < end; part++)
            norms_.collect_gradients(part, n, (part < P::count ? P::gates(part) : 1) * l_.H, step_.scales + part,
                                     StagesKept<T>::parts);
    }

    // The gradients of the products of parts, which replace the normalised products.
    void gradients_of_products(int begin, int end, long n) {
        share_gradients(begin, end, n);
        for (long q = panels_.begin; q < panels_.end; q++)
            for (int k = begin; k < end; k++) {
                const Part part = P::of(k);
                const T *d_gates = row(gates_, q, 0), *gain = this->gain(part.state, q);
                T* y = row(step_.products[part.state], q, 0);
                const bool whole = is_whole(q);
                for (long r = 0; r < n; r++, d_gates += width, y += width) {
                    const NormalGradient<T> gradient = norms_.normal_gradient(k, r);
                    for (long v = part.begin; v < part.end; v++) {
                        const Vec<T> of_y = load<T>(d_gates + v * W) * load<T>(gain + v * W);
                        const Vec<T> d = gradient(of_y, load<T>(y + v * W));
                        put<T>(y + v * W, whole ? d : only<T>(d, p_.lanes_of(q, v)), l_.rounded);
                    }
                }
            }
    }

  private:
    // Whether all lanes of a panel are units.
    bool is_whole(long q) const { return p_.lanes_of(q, p_.columns() - 1) == W; }
    const T* gain(bool state, long q) const { return gains_ + (state * p_.count + q) * width; }
    long values_of(Share panels) const {
        const long each = p_.units * W;
        return std::min(l_.H, panels.end * each) - std::min(l_.H, panels.begin * each);
    }

    const T* const gains_;
};

}  // namespace holdfast::HOLDFAST_ISA
