// The packed weights of a cell, kept from call to call. Each call reads the parameters for a fingerprint, which takes a
// small part of the time that packing them takes, and packs them again if it is not that of the last call. So a change
// is noticed whatever made it.
#pragma once

#include <memory>
#include <mutex>
#include <new>

#include "dispatch.h"

namespace holdfast {

template <class T>
class PackedWeights {
  public:
    using Packed = std::shared_ptr<const T>;

    // What Kernels::pack writes for the parameters of l. The caller holds it while a kernel reads it, as another call
    // may replace it meanwhile.
    Packed of(const Kernels& kernels, const Layer<T>& l) {
        const std::uint64_t fingerprint = fingerprint_of(kernels, l);
        const std::lock_guard lock(mutex_);
        if (packed_ && fingerprint == fingerprint_) return packed_;
        packed_ = pack(kernels, l);
        fingerprint_ = fingerprint;
        packings_++;
        return packed_;
    }

    long packings() const { return packings_; }  // how often the weights were packed

  private:
    // Of all parameters that `pack` reads.
    static std::uint64_t fingerprint_of(const Kernels& kernels, const Layer<T>& l) {
        const long gates = l.kind == Kind::rnn ? 1 : l.kind == Kind::gru || l.options.coupled ? 3 : 4;
        const struct {
            const T* data;
            long count;
        } parameters[] = {{l.weight_ih, gates * l.H * l.I}, {l.weight_hh, gates * l.H * l.O},
                          {l.bias_ih, gates * l.H},         {l.bias_hh, gates * l.H},
                          {l.weight_hr, l.O * l.H},         {l.norm_ih, gates * l.H},
                          {l.norm_hh, gates * l.H}};
        std::uint64_t all = 0;
        for (const auto& [data, count] : parameters)
            if (data) all = kernels.fingerprint(data, count * long(sizeof(T)), all);
        return all;
    }

    // Memory that begins at a line of the cache.
    static std::shared_ptr<T> aligned(long count) {
        static constexpr std::align_val_t line{64};
        T* const data = static_cast<T*>(::operator new(std::size_t(count) * sizeof(T), line));
        return {data, [](T* memory) { ::operator delete(memory, line); }};
    }

    static Packed pack(const Kernels& kernels, const Layer<T>& l) {
        std::shared_ptr<T> packed;
        if constexpr (sizeof(T) == 4) {
            packed = aligned(kernels.packed_size_f32(l));
            kernels.pack_f32(l, packed.get());
        } else {
            packed = aligned(kernels.packed_size_f64(l));
            kernels.pack_f64(l, packed.get());
        }
        return packed;
    }

    std::mutex mutex_;
    Packed packed_;
    std::uint64_t fingerprint_ = 0;
    long packings_ = 0;
};

}  // namespace holdfast
