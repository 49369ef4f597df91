// The backward pass of all cells of a layer: takes the memory of the gradients, and runs the cells, the last one first.
#pragma once

#include "bindings_layer.h"

namespace holdfast {

template <class T>
class LayerGradients {
    using Object = nanobind::object;
    using Handle = nanobind::handle;

  public:
    Object dx = nanobind::none();
    nanobind::list d_state, d_parameters;

    LayerGradients(const BoundLayer<T>& layer, Handle x, const LayerInput<T>& input,
                   typename BoundLayer<T>::Calls& calls, nanobind::tuple received, long first, bool wants_x,
                   bool wants_state)
        : layer_(layer), calls_(calls), first_(first), directions_(layer.directions_), W_(layer.width(calls[0])),
          size_(std::max(layer.inner_size(calls), aligned_count(input.B * input.T_ * calls[0].I))) {
        const Tensors& tensors = *layer.cells_[0].tensors;
        const bool lstm = calls[0].kind == Kind::lstm;
        if (!received[0].is_none()) {
            const Memory memory = readable(tensors, received[0], false);
            dy_ = LayerInput<T>(memory, layer.batch_first_).steps;
        }
        for (int part = 0; part < 1 + lstm; part++) {
            const T* d = nullptr;
            if (Object given = received[1 + part]; !given.is_none())
                d = static_cast<const T*>(readable(tensors, given, true).data);
            T* initial = nullptr;
            const long size = part ? calls[0].H : calls[0].O;
            if (wants_state) d_state.append(tensors.empty(x, layer.state_shape(input, size), initial));
            for (std::size_t k = 0; k < calls.size(); k++) {
                const long at = long(k) * input.B * size;
                (part ? calls[k].dc_n : calls[k].dh_n) = d ? d + at : nullptr;
                (part ? calls[k].dc0 : calls[k].dh0) = initial ? initial + at : nullptr;
            }
        }
        for (std::size_t k = first * directions_; k < calls.size(); k++)
            for (const auto& parameter : layer.cells_[k].cell->parameters()) {
                const Tensors& own = *layer.cells_[k].tensors;
                const long number = &parameter - layer.cells_[k].cell->parameters().data();
                d_parameters.append(own.empty(x, own.shape(number), calls[k].*parameter.gradient));
            }
        if (wants_x) {
            T* data;
            const long B = input.B, T_ = input.T_, I = calls[0].I;
            if (input.axes == 2) {
                dx = tensors.empty(x, std::array{T_, I}, data);
                dx_ = {data, 0, I};
            } else if (layer.batch_first_) {
                dx = tensors.empty(x, std::array{B, T_, I}, data);
                dx_ = {data, T_ * I, I};
            } else {
                dx = tensors.empty(x, std::array{T_, B, I}, data);
                dx_ = {data, I, B * I};
            }
        }
        const bool inner = first + 1 < layer.layers();
        memory_ = Block((2 * inner + (directions_ > 1 && (inner || wants_x))) * size_ * long(sizeof(T)));
    }

    void run() {
        T* const memory = static_cast<T*>(memory_.data());
        const bool inner = first_ + 1 < layer_.layers();
        T* const second = memory + 2 * inner * size_;  // what the second direction adds
        for (long n = layer_.layers() - 1; n >= first_; n--) {
            const long B = calls_[0].B;
            const Steps<T> to = n > first_ ? Steps<T>{memory + n % 2 * size_, W_, B * W_} : n ? Steps<T>{} : dx_;
            for (long direction = 0; direction < directions_; direction++) {
                const long k = n * directions_ + direction;
                Layer<T>& l = calls_[k];
                if (dy_) l.dy = {dy_.data + direction * l.O, dy_.row, dy_.step};
                l.dx = to;
                if (direction && to) l.dx.data = second;
                layer_.cells_[k].cell->run_backward(l);
                if (direction && to) add(to.data, second, B * l.T_ * l.I, l.threads);
            }
            dy_ = {to.data, to.row, to.step};
        }
    }

  private:
    // The memory of a gradient; of a copy, which stays alive, where it has another layout.
    Memory readable(const Tensors& tensors, Handle tensor, bool contiguous) {
        static const Attribute copy("contiguous"), clone("clone");
        auto fits = [&](const Memory& m) {
            return m && (contiguous ? m.is_contiguous() : m.strides[m.axes - 1] == 1);
        };
        Memory memory = tensors.read(tensor);
        for (const Attribute* way : {&copy, &clone})
            if (!fits(memory)) {
                tensor = alive_.emplace_back(way->call(tensor));
                memory = tensors.read(tensor);
            }
        if (!fits(memory)) throw nanobind::type_error("a gradient has no memory that the kernels can read");
        return memory;
    }

    static void add(T* to, const T* from, long count, long threads) {
        auto share = [=](long thread, long of) {
            for (long k = count * thread / of; k < count * (thread + 1) / of; k++) to[k] += from[k];
        };
        if (count < 1 << 16) return share(0, 1);
        while (true) {
            const long available = parallel(threads, [&](long thread) { share(thread, threads); });
            if (available == threads) return;
            threads = available;
        }
    }

    const BoundLayer<T>& layer_;
    typename BoundLayer<T>::Calls& calls_;
    const long first_, directions_, W_, size_;
    Steps<const T> dy_{};
    Steps<T> dx_{};
    Block memory_;
    std::vector<Object> alive_;
};

}  // namespace holdfast
