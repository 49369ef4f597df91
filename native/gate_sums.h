// The sums of a panel's gates: bias + h product + x product.
#pragma once

#include "pack.h"
#include "tiles.h"

namespace holdfast::HOLDFAST_ISA {

template <class T, Kind kind, int N>
class GateSums {
    using Weights = ForwardWeights<T, kind, N>;
    static constexpr long W = lanes<T>, columns = Weights::columns;

  public:
    // For a thread that computes the panels of a share, in turn, at every step. Rows of h are `ld_h` values apart, and
    // the h of each gate `apart` values where gates have masks of their own; rows of x are `ld_x` values apart.
    GateSums(const Layer<T>& l, const Panels& p, Share panels, const Weights& weights, long ld_h, long apart, long ld_x)
        : weights_(weights), panels_(panels), ld_h_(ld_h), apart_(l.masks > 1 ? apart : 0), ld_x_(ld_x), O_(l.O),
          I_(l.I), resets_(l.options.reset_before),
          far_(Weights::size(l, p) / p.count * panels.size() * long(sizeof(T)) > kept_weights()) {}

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
        const Operand<T>* B = weights_.state(q, part);
        return {h + part * columns * apart_, ld_h_, B, O_, apart_, ahead(q, part, B)};
    }
    HF_INLINE Factors<T> input(long q, int part, const Operand<T>* x) const {
        const Operand<T>* B = weights_.input(q, part);
        return {x, ld_x_, B, I_, 0, ahead(q, part, B)};
    }
    // What to ask for while B, of this part of a panel, is multiplied: the same of the next part, and at last of the
    // first one, which the next step reads.
    HF_INLINE const Operand<T>* ahead(long q, int part, const Operand<T>* B) const {
        if (!far_) return nullptr;
        const bool ends = q + 1 == panels_.end && part + 1 == Weights::parts;
        return ends ? B - (panels_.size() * Weights::parts - 1) * weights_.next_part() : B + weights_.next_part();
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
    // computed, and nothing when part 1 is. Returns whether all tiles were of this kind. With 32 registers, they are
    // of this kind unless the weights come from far away.
    template <int n, bool both = false>
    HF_INLINE bool run(TileSum<T>& s, bool apart, long rows, T* out, int part = 0) const {
        constexpr bool wide = both && Types<T>::bytes == 64;
        constexpr long lines = n * W * pair<T> * long(sizeof(Operand<T>)) / 64;  // of the cache, of each step of B
        const long few = apart ? 0 : wide && far_ ? 3 : rows_of_both<T, n>;
        const long most = far_ ? far_tile_rows<T, n> : wide && few ? few : tile_rows<T, n>;
        constexpr bool has_masks = kind != Kind::rnn;  // an RNN has one gate, so none of its own masks
        const auto& tiles = has_masks && apart ? SumTiles<T, n, has_masks>::of_rows : SumTiles<T, n, false>::of_rows;
        long asked = 0;
        over_rows(rows, most, [&](long m, long) __attribute__((always_inline)) {
            if (!both || m > few)
                tiles[m - 1](s, m, out);
            else if constexpr (both)
                if (part == 0) SumTilesOfBoth<T, n>::of_rows[m - 1](s, m, out);
            s.skip(m, ++asked < lines);
            out += m * s.ld_out;
        });
        return both && std::min(rows, most) <= few;
    }

    const Weights weights_;
    const Share panels_;
    const long ld_h_, apart_, ld_x_, O_, I_;
    const bool resets_, far_;  // whether the weights of all panels are too many for the cache
};

}  // namespace holdfast::HOLDFAST_ISA
