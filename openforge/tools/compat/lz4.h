// Stand-in for <lz4.h>: valid LZ4 blocks made of literals only. Verilator's FST writer needs no
// more, so that simulations can be built on machines without liblz4's development files.
#ifndef OPENFORGE_LZ4_H
#define OPENFORGE_LZ4_H
#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* source, char* target, int size, int capacity) {
    if (capacity < LZ4_compressBound(size)) return 0;
    char* end = target;
    if (size < 15) {
        *end++ = static_cast<char>(size << 4);
    } else {
        *end++ = static_cast<char>(0xF0);
        int rest = size - 15;
        for (; rest >= 255; rest -= 255) *end++ = static_cast<char>(0xFF);
        *end++ = static_cast<char>(rest);
    }
    std::memcpy(end, source, static_cast<size_t>(size));
    return static_cast<int>(end - target) + size;
}
#endif
