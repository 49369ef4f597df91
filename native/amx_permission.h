// Whether a process may use the matrix unit of AMX for bfloat16. Linux gives each process a permission of its own, as
// the tiles make every switch of threads dearer.
#pragma once

#if defined(__linux__) && defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace holdfast {

inline bool amx_permitted() {
#if defined(__linux__) && defined(__x86_64__)
    constexpr unsigned tiles = 1u << 24, of_bfloat16 = 1u << 22;
    constexpr long request_permission = 0x1023, tile_data = 18;
    unsigned a, b, c, d;
    static const bool permitted = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & tiles) && (d & of_bfloat16) &&
                                  syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    return permitted;
#else
    return false;
#endif
}

}  // namespace holdfast
