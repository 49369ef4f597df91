// Products of a few rows with a matrix, for streams. Such a product takes as long as reading the weights, so weights
// may be stored in fewer bits (Storage in layer.h). Sums are float.
//
//   float32   unchanged.
//   bfloat16  rounded to the nearest, ties to even: each weight is off by at most 2^-9 of its size.
//   int8      w = q s, with q from -127 to 127 and one scale s = max|w| / 127 per row of the matrix: each weight is off
//             by at most s / 2. The values that the weights multiply are rounded to 16 bits, v = q s with s = max|v| /
//             32767 per row and product, so sums are exact whole numbers until they are scaled. A row with an infinite
//             value or a NaN has the sum NaN, and a row in which no value reaches 2^-100 counts as 0.
//
// A panel has 1 to 4 vectors of outputs. Its weights lie as [steps][vectors][lanes]; where weights have fewer bits, a
// lane has those of two steps side by side, and an odd number of steps is filled up with a weight of 0.
#pragma once

#include <cstddef>

#include "operand.h"
#include "sequence.h"

namespace holdfast::HOLDFAST_ISA {

// How many steps a lane has, and the bytes of a weight.
template <Storage storage>
constexpr long steps_together = storage == Storage::float32 ? 1 : 2;
constexpr long bytes_of(Storage storage) {
    return storage == Storage::float32 ? 4 : storage == Storage::bfloat16 ? 2 : 1;
}

// Rows that a matrix multiplies, each with a scale of its own where values have 16 bits. A row has at least one value
// more than the matrix has steps; it is 0.
struct StepRows {
    const void* values;
    const float* scales;
    long stride;
};

// The stride of such rows.
constexpr long step_stride(long values) { return (values / 16 + 1) * 16; }

using Integers = typename Types<float>::Mask;

// acc + w0 v0 + w1 v1 in every lane: w has two 8-bit weights in a lane, `both` is two 16-bit values.
HF_INLINE Integers add_products(Integers acc, const std::uint16_t* w, std::int32_t both) {
#if defined(__AVX512BW__)
    __m256i narrow;
    std::memcpy(&narrow, w, sizeof narrow);
    return acc + (Integers)_mm512_madd_epi16(_mm512_set1_epi32(both), _mm512_cvtepi8_epi16(narrow));
#elif defined(__AVX2__)
    if constexpr (Types<float>::bytes >= 32) {
        constexpr int parts = Types<float>::bytes / 32;
        const __m256i values = _mm256_set1_epi32(both);
        __m256i sums[parts];
#pragma GCC unroll 2
        for (int k = 0; k < parts; k++) {
            __m128i narrow;
            std::memcpy(&narrow, w + k * 8, sizeof narrow);
            sums[k] = _mm256_madd_epi16(values, _mm256_cvtepi8_epi16(narrow));
        }
        Integers sum;
        std::memcpy(&sum, sums, sizeof sum);
        return acc + sum;
    }
#endif
    typedef std::int16_t Pairs __attribute__((vector_size(2 * lanes<float>)));
    Pairs pairs;
    std::memcpy(&pairs, w, sizeof pairs);
    const Integers wide = __builtin_convertvector(pairs, Integers);
    return acc + ((wide << 24) >> 24) * std::int32_t(std::int16_t(both)) + (wide >> 8) * (both >> 16);
}

// out[m][column of n] += row m of `rows` times the panel B of K steps. The column of n is n, but `last` for the last.
using StepTile = void (*)(const StepRows& rows, long first, const std::byte* B, long K, long last, float* out,
                          long ldo);

// The weights of a lane's steps, as float.
template <Storage storage>
HF_INLINE void load_weights(const std::byte* w, Vec<float> (&steps)[steps_together<storage>]) {
    if constexpr (storage == Storage::float32) {
        std::memcpy(&steps[0], w, sizeof steps[0]);
    } else {
        typedef std::uint32_t Bits __attribute__((vector_size(Types<float>::bytes)));
        Bits bits;
        std::memcpy(&bits, w, sizeof bits);
        steps[0] = (Vec<float>)(bits << 16);
        steps[1] = (Vec<float>)(bits & 0xffff0000u);
    }
}

// Adds the steps of each lane from `first_step` to `end_step` (excluded), each in sums of its own.
template <Storage storage, int M, int N, int first_step, int end_step>
HF_INLINE void add_steps(const float* v, long stride, const std::byte* B, long K,
                         Vec<float> (&acc)[end_step - first_step][M][N]) {
    constexpr long together = steps_together<storage>;
    for (long k = 0; k < K; k += together)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++, B += Types<float>::bytes) {
            Vec<float> b[together];
            load_weights<storage>(B, b);
#pragma GCC unroll 2
            for (int s = first_step; s < end_step; s++)
#pragma GCC unroll 6
                for (int m = 0; m < M; m++) acc[s - first_step][m][n] += all<float>(v[m * stride + k + s]) * b[s];
        }
}

// Where a lane has two steps, there is one sum of the even steps and one of the odd steps, for every number of rows.
// One row adds to both at once: one sum alone would not keep the processor busy. For several rows there are not enough
// registers for both, so the weights are read twice.
template <Storage storage, int M, int N>
void float_tile(const StepRows& rows, long first, const std::byte* B, long K, long last, float* out, long ldo) {
    constexpr long W = lanes<float>, together = steps_together<storage>;
    constexpr int sums = M == 1 ? together : 1;
    const auto* v = static_cast<const float*>(rows.values) + first * rows.stride;
    auto place = [&](int m, int n) { return out + m * ldo + (n + 1 == N ? last : n) * W; };
    Vec<float> acc[sums][M][N]{};
#pragma GCC unroll 6
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) acc[0][m][n] = load<float>(place(m, n));
    add_steps<storage, M, N, 0, sums>(v, rows.stride, B, K, acc);
    if constexpr (together > sums) {
#pragma GCC unroll 6
        for (int m = 0; m < M; m++)
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
            store<float>(place(m, n), acc[0][m][n]);
            acc[0][m][n] = Vec<float>{};
        }
        add_steps<storage, M, N, 1, 2>(v, rows.stride, B, K, acc);
    }
#pragma GCC unroll 6
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) {
            float* to = place(m, n);
            if constexpr (together == 1)
                store<float>(to, acc[0][m][n]);
            else
                store<float>(to, (sums == 2 ? acc[0][m][n] : load<float>(to)) + acc[sums - 1][m][n]);
        }
}

template <int M, int N>
void int8_tile(const StepRows& rows, long first, const std::byte* B, long K, long last, float* out, long ldo) {
    constexpr long W = lanes<float>;
    const auto* v = static_cast<const std::int16_t*>(rows.values) + first * rows.stride;
    const auto* scales = reinterpret_cast<const float*>(B);
    const auto* w = reinterpret_cast<const std::uint16_t*>(scales + N * W);
    constexpr long block = 512;  // 512 products of at most 127 * 32767 each fit into 32 bits
    for (long begin = 0; begin < K; begin += block) {
        Integers acc[M][N]{};
        for (long k = begin; k < std::min(K, begin + block); k += 2)
#pragma GCC unroll 4
            for (int n = 0; n < N; n++, w += W)
#pragma GCC unroll 6
                for (int m = 0; m < M; m++) {
                    std::int32_t both;
                    std::memcpy(&both, v + m * rows.stride + k, sizeof both);
                    acc[m][n] = add_products(acc[m][n], w, both);
                }
#pragma GCC unroll 6
        for (int m = 0; m < M; m++)
#pragma GCC unroll 4
            for (int n = 0; n < N; n++) {
                float* to = out + m * ldo + (n + 1 == N ? last : n) * W;
                const Vec<float> scale = load<float>(scales + n * W) * rows.scales[first + m];
                store<float>(to, load<float>(to) + __builtin_convertvector(acc[m][n], Vec<float>) * scale);
            }
    }
}

template <Storage storage, int M, int N>
constexpr StepTile step_tile = float_tile<storage, M, N>;
template <int M, int N>
constexpr StepTile step_tile<Storage::int8, M, N> = int8_tile<M, N>;

// Rows of a tile: as many as the registers hold beside the weights; AVX-512 and NEON have 32 registers, the others 16.
constexpr int step_rows = Types<float>::bytes == 64 || Types<float>::bytes == 16 ? 6 : 3;

template <Storage storage, int N>
constexpr auto step_tiles_of = by_rows<step_rows>([](auto m) -> StepTile { return step_tile<storage, m, N>; });
template <Storage storage>
constexpr std::array step_tiles = {step_tiles_of<storage, 1>, step_tiles_of<storage, 2>, step_tiles_of<storage, 3>,
                                   step_tiles_of<storage, 4>};

// A packed matrix [.., K]: the columns of its panels are `count` of those of `panels`, the last one at `last`.
class StepMatrix {
    static constexpr long W = lanes<float>;

  public:
    StepMatrix() = default;
    StepMatrix(Storage storage, const Panels& panels, long K, long count, long last)
        : storage_(storage), panels_(panels), K_(K), count_(count), last_(last) {
        const long steps = storage == Storage::float32 ? K : (K + 1) / 2 * 2;
        const long scale = storage == Storage::int8 ? sizeof(float) : 0;
        panel_bytes_ = (count * W * (scale + steps * bytes_of(storage)) + 63) / 64 * 64;
    }

    long bytes() const { return panels_.count * panel_bytes_; }

    void pack(const float* weights, std::byte* out) const {
        for (long q = 0; q < panels_.count; q++, out += panel_bytes_)
            for (long n = 0; n < count_; n++) {
                const long column = n + 1 == count_ ? last_ : n, present = panels_.lanes_of(q, column);
                const float* first = weights + panels_.row(q, column) * K_;
                if (storage_ == Storage::float32) pack_floats(first, present, n, out);
                for (long lane = 0; lane < W && storage_ != Storage::float32; lane++) {
                    const float* row = lane < present ? first + lane * K_ : nullptr;
                    if (storage_ == Storage::bfloat16) pack_bfloat16(row, n, lane, out);
                    if (storage_ == Storage::int8) pack_int8(row, n, lane, out);
                }
            }
    }

    // out[r][panel][column] += the products of rows 0 to `count` (excluded) with the panels in `share`. `out` is that
    // of panel 0.
    void add(const std::byte* packed, const StepRows& rows, long count, Share share, float* out, long ldo,
             long width) const {
        const auto& tiles = storage_ == Storage::float32    ? step_tiles<Storage::float32>
                            : storage_ == Storage::bfloat16 ? step_tiles<Storage::bfloat16>
                                                            : step_tiles<Storage::int8>;
        if (K_ == 0) return;
        for (long q = share.begin; q < share.end; q++)
            over_rows(count, step_rows, [&](long m, long r) {
                tiles[count_ - 1][m - 1](rows, r, packed + q * panel_bytes_, K_, last_, out + r * ldo + q * width,
                                         ldo);
            });
    }

  private:
    template <class Weight>
    Weight* at(std::byte* panel, long step, long n, long lane) const {
        return reinterpret_cast<Weight*>(panel) + (step * count_ + n) * W + lane;
    }
    float value(const float* row, long k) const { return row && k < K_ ? row[k] : 0; }
    // Some steps at a time: the lines of the panel that they fill stay in the cache until all lanes are written.
    void pack_floats(const float* rows, long present, long n, std::byte* panel) const {
        constexpr long some = 16;
        for (long begin = 0; begin < K_; begin += some)
            for (long lane = 0; lane < W; lane++)
                for (long k = begin; k < std::min(K_, begin + some); k++)
                    *at<float>(panel, k, n, lane) = lane < present ? rows[lane * K_ + k] : 0;
    }
    void pack_bfloat16(const float* row, long n, long lane, std::byte* panel) const {
        auto bits = [&](long k) { return __builtin_bit_cast(std::uint32_t, nearest(value(row, k))); };
        for (long k = 0; k < K_; k += 2)
            *at<std::uint32_t>(panel, k / 2, n, lane) = bits(k) >> 16 | (bits(k + 1) & 0xffff0000u);
    }
    void pack_int8(const float* row, long n, long lane, std::byte* panel) const {
        float most = 0;
        for (long k = 0; k < K_; k++) {
            const float size = std::fabs(value(row, k));
            if (!(size <= most)) most = size;  // NaN stays
        }
        const float scale = most / 127, inverse = most >= 0x1p-100f ? 127 / most : 0;
        *at<float>(panel, 0, n, lane) = most < 0x1p-100f ? 0 : std::isfinite(most) ? scale : NAN;
        panel += count_ * W * sizeof(float);
        auto bits = [&](long k) {
            const float q = std::nearbyint(value(row, k) * inverse);
            return std::uint16_t(std::uint8_t(std::fabs(q) <= 127 ? int(q) : 0));
        };
        for (long k = 0; k < K_; k += 2)
            *at<std::uint16_t>(panel, k / 2, n, lane) = std::uint16_t(bits(k) | bits(k + 1) << 8);
    }

    Storage storage_ = Storage::float32;
    Panels panels_{};
    long K_ = 0, count_ = 0, last_ = 0, panel_bytes_ = 0;
};

// Rounds `count` values to 16 bits, with 0 behind them up to the stride of `to`, and returns their scale.
inline float round_to_16_bits(const float* from, long count, std::int16_t* to) {
    constexpr long W = lanes<float>;
    Integers largest{};
    for (long k = 0; k < count; k += W) {
        const Integers size = (Integers)abs<float>(load_some<float>(from + k, count - k));
        largest = size > largest ? size : largest;  // sizes have the order of their bits; NaN is the largest
    }
    std::int32_t bits = 0;
    for (long k = 0; k < W; k++) bits = std::max<std::int32_t>(bits, largest[k]);
    const float most = __builtin_bit_cast(float, bits);
    const bool usable = most >= 0x1p-100f && std::isfinite(most);
    const float inverse = usable ? 32767 / most : 0;
    typedef std::int16_t Halves __attribute__((vector_size(2 * lanes<float>)));
    std::fill(to + count, to + step_stride(count), std::int16_t(0));
    for (long k = 0; k < count; k += W) {
        const Vec<float> shifted = load_some<float>(from + k, count - k) * inverse + 12582912.0f;  // 1.5 * 2^23
        const Halves rounded = __builtin_convertvector((Integers)shifted, Halves);
        std::memcpy(to + k, &rounded, std::min(W, count - k) * sizeof(std::int16_t));
    }
    return usable ? most / 32767 : most < 0x1p-100f ? 0 : NAN;
}

}  // namespace holdfast::HOLDFAST_ISA
