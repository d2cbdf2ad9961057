// Stand-in for <zlib.h>: a zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4). Verilator's
// FST writer needs no more, so that simulations can be built without zlib's development files.
#ifndef OPENFORGE_ZLIB_H
#define OPENFORGE_ZLIB_H
#include <cstring>

typedef unsigned long uLong;
typedef unsigned long uLongf;
typedef unsigned char Bytef;
#define Z_OK 0
#define Z_BUF_ERROR (-5)

static inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

static inline int compress2(Bytef* target, uLongf* length, const Bytef* source, uLong size, int) {
    if (*length < compressBound(size)) return Z_BUF_ERROR;
    Bytef* end = target;
    *end++ = 0x78;
    *end++ = 0x01;
    uLong done = 0;
    do {
        const uLong block = size - done > 65535 ? 65535 : size - done;
        *end++ = (done + block == size) ? 1 : 0;
        *end++ = block & 0xFF;
        *end++ = (block >> 8) & 0xFF;
        *end++ = ~block & 0xFF;
        *end++ = (~block >> 8) & 0xFF;
        std::memcpy(end, source + done, block);
        end += block;
        done += block;
    } while (done < size);
    unsigned long low = 1, high = 0;  // Adler-32
    for (uLong i = 0; i < size; i++) {
        low = (low + source[i]) % 65521;
        high = (high + low) % 65521;
    }
    const unsigned long sums[4] = {high >> 8, high & 0xFF, low >> 8, low & 0xFF};
    for (unsigned long sum : sums) *end++ = static_cast<Bytef>(sum);
    *length = static_cast<uLong>(end - target);
    return Z_OK;
}
#endif
