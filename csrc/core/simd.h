// One build runs at full width on every x86-64: marked functions are compiled per instruction set and picked at load.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define PYSMDL_SIMD __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PYSMDL_SIMD
#endif
