// The sums of a panel's gates: bias + h product + x product.
#pragma once

#include "matmul_amx.h"
#include "pack.h"

namespace holdfast::HOLDFAST_ISA {

// The functions that compute a tile of N columns, for 1, 2, ... rows.
template <class T, int N, bool apart>
constexpr auto sum_tiles = by_rows<tile_rows<T, N>>([](auto m) { return sum_function<T, m, N, apart>(); });

template <class T, int N>
constexpr auto sum_tiles_of_both = by_rows<3>([](auto m) { return sum_tile_of_both<T, m, N>; });

template <class T, Kind kind, int N>
class GateSums {
    using Weights = ForwardWeights<T, kind, N>;
    static constexpr long W = lanes<T>, columns = Weights::columns;

  public:
    // Rows of h are `ld_h` values apart, and the h of each gate `apart` values where gates have masks of their own;
    // rows of x are `ld_x` values apart.
    GateSums(const Layer<T>& l, const Weights& weights, long ld_h, long apart, long ld_x)
        : weights_(weights), ld_h_(ld_h), apart_(l.masks > 1 ? apart : 0), ld_x_(ld_x), O_(l.O), I_(l.I),
          resets_(l.options.reset_before) {}

    // out[row] = from + h product + x product for `rows` rows of panel q. A null h or x: without its product.
    void operator()(long q, const T* from, const Operand<T>* h, const Operand<T>* x, long rows, T* out) const {
        [[maybe_unused]] const UsesTiles<T> tiles;
        if constexpr (kind == Kind::gru) return gru(q, from, h, x, rows, out);
        for (int part = 0; part < Weights::parts; part++) {
            TileSum<T> s{from + part * columns * W, 0, N * W, (columns - 1) * W, weights_.next_part(), 0, {}};
            if (h) s.products[s.count++] = state(q, part, h);
            if (x) s.products[s.count++] = input(q, part, x);
            if (run<columns, Weights::parts == 2>(s, h && apart_, rows, out + part * columns * W, part)) break;
        }
    }

  private:
    HF_INLINE Factors<T> state(long q, int part, const Operand<T>* h) const {
        return {h + part * columns * apart_, ld_h_, weights_.state(q, part), O_, apart_};
    }
    HF_INLINE Factors<T> input(long q, int part, const Operand<T>* x) const {
        return {x, ld_x_, weights_.input(q, part), I_};
    }

    // The h product has the columns r, z and u_n (with the reset before it, only r and z), the x product r, z and n.
    void gru(long q, const T* from, const Operand<T>* h, const Operand<T>* x, long rows, T* out) const {
        for (long r = 0; r < rows; r++)
            for (long n : {2, 3}) store<T>(out + (r * N + n) * W, load<T>(from + n * W));
        TileSum<T> s{from, 0, N * W, (resets_ ? 1 : 3) * W, 0, 1, {}};
        if (h) {
            s.products[0] = state(q, 0, h);
            resets_ ? run<2>(s, apart_, rows, out) : run<3>(s, apart_, rows, out);
            s.from = out;
            s.ld_from = N * W;
        }
        if (x) {
            s.last = 2 * W;
            s.products[0] = input(q, 0, x);
            run<3>(s, false, rows, out);
        }
    }

    // Computes all tiles of rows. `both`: a tile of few rows takes the columns of both parts at once, when part 0 is
    // computed, and nothing when part 1 is. Returns whether all tiles were of this kind.
    template <int n, bool both = false>
    HF_INLINE bool run(TileSum<T>& s, bool apart, long rows, T* out, int part = 0) const {
        constexpr long few = 3;
        const auto& tiles = kind != Kind::rnn && apart ? sum_tiles<T, n, kind != Kind::rnn> : sum_tiles<T, n, false>;
        over_rows(rows, tiles.size(), [&](long m, long) __attribute__((always_inline)) {
            if (!both || m > few || apart)
                tiles[m - 1](s, out);
            else if constexpr (both)
                if (part == 0) sum_tiles_of_both<T, n>[m - 1](s, out);
            s.skip(m);
            out += m * s.ld_out;
        });
        return both && rows <= few && !apart;
    }

    const Weights weights_;
    const long ld_h_, apart_, ld_x_, O_, I_;
    const bool resets_;
};

}  // namespace holdfast::HOLDFAST_ISA
