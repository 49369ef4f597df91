// The packed weights of a cell, kept from call to call. Each call takes a fingerprint of the parameters, which is
// several times as fast as packing them. If the fingerprint has changed, the call packs them again. So every change is
// noticed, whatever made it.
#pragma once

#include <memory>
#include <mutex>

#include "block.h"
#include "dispatch.h"

namespace holdfast {

template <class T>
class PackedWeights {
  public:
    using Packed = std::shared_ptr<const Block>;

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
        const long gates = l.gate_count();
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

    static Packed pack(const Kernels& kernels, const Layer<T>& l) {
        if constexpr (sizeof(T) == 4) {
            const auto block = std::make_shared<const Block>(kernels.packed_size_f32(l) * long(sizeof(T)));
            kernels.pack_f32(l, static_cast<T*>(block->data()));
            return block;
        } else {
            const auto block = std::make_shared<const Block>(kernels.packed_size_f64(l) * long(sizeof(T)));
            kernels.pack_f64(l, static_cast<T*>(block->data()));
            return block;
        }
    }

    std::mutex mutex_;
    Packed packed_;
    std::uint64_t fingerprint_ = 0;
    long packings_ = 0;
};

}  // namespace holdfast
