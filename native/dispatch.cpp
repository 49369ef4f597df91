// Picks the kernels of the best instruction set that this processor has, once; HOLDFAST_ISA names another.
#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace holdfast {

namespace scalar {
extern const Kernels kernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#elif defined(__aarch64__)
namespace neon {
extern const Kernels kernels;
}
#endif

const std::vector<const Kernels*>& all_kernels() {
    static const std::vector<const Kernels*> all = {
#if defined(__x86_64__)
        &avx512::kernels, &avx2::kernels,
#elif defined(__aarch64__)
        &neon::kernels,
#endif
        &scalar::kernels};
    return all;
}

const Kernels& kernels_named(const std::string& name) {
    std::string here;
    for (const Kernels* k : all_kernels()) {
        if (name == k->name) {
            if (k->runs_here()) return *k;
            throw std::runtime_error("This processor has no " + name + " instructions.");
        }
        if (k->runs_here()) here += std::string(here.empty() ? "" : ", ") + k->name;
    }
    throw std::runtime_error("There are no kernels for '" + name + "'; this processor can run: " + here + ".");
}

const Kernels& chosen_kernels() {
    static const Kernels& chosen = [&]() -> const Kernels& {
        if (const char* name = std::getenv("HOLDFAST_ISA"); name && *name) return kernels_named(name);
        for (const Kernels* k : all_kernels())
            if (k->runs_here()) return *k;
        throw std::runtime_error("No kernels run on this processor.");
    }();
    return chosen;
}

}  // namespace holdfast
