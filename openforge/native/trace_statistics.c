/* Power sums of stored traces: for each sample the sums of the powers of the values of some rows.
 *
 * The sums are exact integers, so that any split of the rows gives the same bits. Two rows are
 * handled at a time: a 32-bit lane holds the 16-bit values of one sample in both of them, and one
 * multiply-add of 16-bit pairs (pmaddwd, vpdpwssd) takes both products to the lane's sum.
 *
 * Compiled once for each instruction set; the sums do not depend on which. Memory is the caller's.
 */

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#if defined(__AVX512BW__)
#define BYTES 64
#elif defined(__AVX2__)
#define BYTES 32
#else
#define BYTES 16
#endif

#define LANES (BYTES / 4)
#define GROUP 60 /* rows whose sums fit 32 bits: 60 * 2^26 < 2^32, 60 * 2^24 < 2^31 */
#define CACHE_LINE 64
#define TILE 32
#define BLOCK 64 /* samples whose sums stay in the first-level cache */
#define SHIFT 8192 /* half of the largest square, so that its square needs no more than 26 bits */
#define INLINE static inline __attribute__((always_inline))
#define ALIGNED __attribute__((aligned(64)))

typedef int16_t half __attribute__((vector_size(BYTES)));
typedef int32_t word __attribute__((vector_size(BYTES)));

/* sum + the products of both halves of each lane */
INLINE word pair_sum(word sum, half a, half b)
{
#if defined(__AVX512VNNI__)
    return (word)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)a, (__m512i)b);
#elif defined(__AVX512BW__)
    return sum + (word)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return sum + (word)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return sum + (word)_mm_madd_epi16((__m128i)a, (__m128i)b);
#else
    word low = ((word)a << 16 >> 16) * ((word)b << 16 >> 16);
    return sum + low + ((word)a >> 16) * ((word)b >> 16);
#endif
}

/* bits 16 to 31 of the products */
INLINE half high_product(half a, half b)
{
#if defined(__AVX512BW__)
    return (half)_mm512_mulhi_epi16((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (half)_mm256_mulhi_epi16((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (half)_mm_mulhi_epi16((__m128i)a, (__m128i)b);
#else
    word low = ((word)a << 16 >> 16) * ((word)b << 16 >> 16);
    word high = ((word)a >> 16) * ((word)b >> 16);
    return (half)((low >> 16 & 0xffff) | (high >> 16 << 16));
#endif
}

/* The samples `part` of the BYTES samples of two rows, as values of 16 bits: those of both rows in
 * one lane. Lane i is sample `column(part, i)`, which is where unpacking bytes leaves them.
 */
INLINE half pair(const uint8_t *first, const uint8_t *second, int part)
{
#if defined(__AVX512BW__)
    __m512i a = _mm512_loadu_si512(first), b = _mm512_loadu_si512(second);
    __m512i c = part < 2 ? _mm512_unpacklo_epi8(a, b) : _mm512_unpackhi_epi8(a, b);
    __m512i none = _mm512_setzero_si512();
    return (half)(part % 2 ? _mm512_unpackhi_epi8(c, none) : _mm512_unpacklo_epi8(c, none));
#elif defined(__AVX2__)
    __m256i a = _mm256_loadu_si256((const void *)first);
    __m256i b = _mm256_loadu_si256((const void *)second);
    __m256i c = part < 2 ? _mm256_unpacklo_epi8(a, b) : _mm256_unpackhi_epi8(a, b);
    __m256i none = _mm256_setzero_si256();
    return (half)(part % 2 ? _mm256_unpackhi_epi8(c, none) : _mm256_unpacklo_epi8(c, none));
#elif defined(__SSE2__)
    __m128i a = _mm_loadu_si128((const void *)first), b = _mm_loadu_si128((const void *)second);
    __m128i c = part < 2 ? _mm_unpacklo_epi8(a, b) : _mm_unpackhi_epi8(a, b);
    __m128i none = _mm_setzero_si128();
    return (half)(part % 2 ? _mm_unpackhi_epi8(c, none) : _mm_unpacklo_epi8(c, none));
#else
    word both;
    for (int i = 0; i < LANES; i++)
        both[i] = first[4 * part + i] | second[4 * part + i] << 16;
    return (half)both;
#endif
}

/* sums[column] += the lanes of `part` */
INLINE void add(int64_t *sums, const int64_t *lanes, int part)
{
    for (int g = 0; g < LANES / 4; g++)
        for (int i = 0; i < 4; i++)
            sums[16 * g + 4 * part + i] += lanes[4 * g + i];
}

/* Sums of x and x^2 of `m` rows (even, at most GROUP): sums[2][stride], BYTES of each. */
INLINE void squares(const uint8_t *const *rows, int m, int64_t at, int64_t stride, int64_t *sums)
{
    const half one = (half){0} + 1;
    word s[2][4] = {{{0}}};
    for (int r = 0; r < m; r += 2)
        for (int part = 0; part < 4; part++) {
            half x = pair(rows[r] + at, rows[r + 1] + at, part);
            s[0][part] = pair_sum(s[0][part], x, one);
            s[1][part] = pair_sum(s[1][part], x, x);
        }
    for (int part = 0; part < 4; part++)
        for (int k = 0; k < 2; k++) {
            int32_t t[LANES] ALIGNED;
            int64_t wide[LANES] ALIGNED;
            memcpy(t, &s[k][part], sizeof t);
            for (int i = 0; i < LANES; i++)
                wide[i] = t[i];
            add(sums + k * stride, wide, part);
        }
}

/* The power sums of (v, v^2 - SHIFT, ...) that `sixths` collected of m rows, to sums[6][stride]. */
INLINE void add_sixths(const word *all, int m, int part, int64_t stride, int64_t *sums)
{
    int32_t t[9][LANES] ALIGNED;
    int64_t p[6][LANES] ALIGNED;
    memcpy(t, all, sizeof t);
    for (int i = 0; i < LANES; i++) {
        int64_t b = t[1][i], bb = (uint32_t)t[3][i];
        p[0][i] = t[0][i];
        p[1][i] = b + (int64_t)SHIFT * m;
        p[2][i] = t[2][i];
        p[3][i] = bb + 2 * SHIFT * b + (int64_t)SHIFT * SHIFT * m;
        p[4][i] = 1024 * (int64_t)t[4][i] + t[5][i] + SHIFT * (int64_t)t[2][i];
        p[5][i] = 1024 * 1024 * (int64_t)t[6][i] + 2048 * (int64_t)t[7][i] + t[8][i];
    }
    for (int k = 0; k < 6; k++)
        add(sums + k * stride, p[k], part);
}

/* Sums of v^1 to v^6, v = x - 128, of `m` rows (even, at most GROUP): sums[6][stride].
 *
 * With b = v^2 - SHIFT and v^3 = 1024 h + l, 0 <= l < 1024, every sum of products fits 32 bits.
 */
INLINE void sixths(const uint8_t *const *rows, int m, int64_t at, int64_t stride, int64_t *sums)
{
    const half one = (half){0} + 1;
    for (int part = 0; part < 4; part++) {
        word s[9] = {{0}};
        for (int r = 0; r < m; r += 2) {
            half v = pair(rows[r] + at, rows[r + 1] + at, part) - 128;
            half q = v * v, b = q - SHIFT;
            half h = high_product(q, v << 6), l = (q * v) & 1023;
            s[0] = pair_sum(s[0], v, one);
            s[1] = pair_sum(s[1], b, one);
            s[2] = pair_sum(s[2], v, q);
            s[3] = pair_sum(s[3], b, b);
            s[4] = pair_sum(s[4], h, b);
            s[5] = pair_sum(s[5], l, b);
            s[6] = pair_sum(s[6], h, h);
            s[7] = pair_sum(s[7], h, l);
            s[8] = pair_sum(s[8], l, l);
        }
        add_sixths(s, m, part, stride, sums);
    }
}

typedef void kernel(const uint8_t *const *, int, int64_t, int64_t, int64_t *);

/* All samples of a group of rows; the next group's rows are fetched meanwhile. */
INLINE void group(kernel *sum, int powers, const uint8_t **rows, int m, const uint8_t **next,
                  int n_next, int64_t n_samples, int64_t *sums)
{
    int64_t at = 0;
    for (; at + BYTES <= n_samples; at += BYTES) {
        if (at % CACHE_LINE == 0)
            for (int r = 0; r < n_next; r++)
                __builtin_prefetch(next[r] + at, 0, 2);
        sum(rows, m, at, n_samples, sums + at);
    }
    if (at < n_samples) {
        uint8_t copy[GROUP][BYTES];
        const uint8_t *copies[GROUP];
        int64_t rest[6][BYTES], width = n_samples - at;
        memset(copy, 0, sizeof copy);
        memset(rest, 0, sizeof rest);
        for (int r = 0; r < m; r++) {
            memcpy(copy[r], rows[r] + at, (size_t)width);
            copies[r] = copy[r];
        }
        sum(copies, m, 0, BYTES, rest[0]);
        for (int k = 0; k < powers; k++)
            for (int64_t i = 0; i < width; i++)
                sums[k * n_samples + at + i] += rest[k][i];
    }
}

INLINE int addresses(const uint8_t *traces, int64_t n_samples, const int64_t *rows,
                            int64_t n_rows, const uint8_t **found)
{
    int m = n_rows < GROUP ? (int)n_rows : GROUP;
    for (int r = 0; r < m; r++)
        found[r] = traces + rows[r] * n_samples;
    return m;
}

/* `neutral` is a row that adds nothing to any sum; it makes the last pair whole. */
INLINE void all_rows(kernel *sum, int powers, const uint8_t *traces, int64_t n_samples,
                            const int64_t *rows, int64_t n_rows, const uint8_t *neutral,
                            int64_t *sums)
{
    const uint8_t *space[2][GROUP], **now = space[0], **next = space[1];
    int m = addresses(traces, n_samples, rows, n_rows, now);
    for (int64_t done = m; m > 0; done += m) {
        int n_next = addresses(traces, n_samples, rows + done, n_rows - done, next);
        if (m % 2)
            now[m++] = neutral;
        group(sum, powers, now, m, next, n_next, n_samples, sums);
        const uint8_t **last = now;
        now = next;
        next = last;
        m = n_next;
    }
}

/* sums[2][n_samples] += the sums of x and x^2, over the rows of traces[][n_samples] in rows[n_rows].
 * neutral[n_samples]: zeros.
 */
void of_trace_sums_2(const uint8_t *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                     const uint8_t *neutral, int64_t *sums)
{
    all_rows(squares, 2, traces, n_samples, rows, n_rows, neutral, sums);
}

/* sums[6][n_samples] += the sums of (x - 128)^1..6; at most 2^20 rows. neutral[n_samples]: 128s. */
void of_trace_sums_6(const uint8_t *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                     const uint8_t *neutral, int64_t *sums)
{
    all_rows(sixths, 6, traces, n_samples, rows, n_rows, neutral, sums);
}

/* Calls `body` for some rows at a time, and of those for some samples at a time, so that both what is
 * read and what is added to stays in the caches.
 */
#define TILES(body)                                                                                \
    for (int64_t from = 0; from < n_rows; from += TILE)                                            \
        for (int64_t at = 0; at < n_samples; at += BLOCK)                                          \
            body(traces, n_samples, rows + from, n_rows - from < TILE ? n_rows - from : TILE, at,  \
                 n_samples - at < BLOCK ? n_samples - at : BLOCK, centre, sums)

INLINE void terms_16(const uint16_t *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                     int64_t at, int64_t width, int32_t centre, int64_t *sums)
{
    int64_t total[10][BLOCK] ALIGNED = {{0}};
    for (int64_t r = 0; r < n_rows; r++) {
        const uint16_t *row = traces + rows[r] * n_samples + at;
        for (int64_t i = 0; i < width; i++) {
            int64_t v = (uint16_t)(row[i] ^ centre) - (1 << 15);
            int64_t q = v * v, cube = q * v, h = cube >> 23, l = cube & 0x7fffff;
            total[0][i] += v;
            total[1][i] += q;
            total[2][i] += cube;
            total[3][i] += h * v;
            total[4][i] += l * v;
            total[5][i] += h * q;
            total[6][i] += l * q;
            total[7][i] += h * h;
            total[8][i] += h * l;
            total[9][i] += l * l;
        }
    }
    for (int k = 0; k < 10; k++)
        for (int64_t i = 0; i < width; i++)
            sums[k * n_samples + at + i] += total[k][i];
}

/* The terms of the power sums of 16-bit values, |v| <= 2^15, v^3 = 2^23 h + l with 0 <= l < 2^23:
 * sums[10][n_samples] += v, v^2, v^3, h v, l v, h v^2, l v^2, h^2, h l, l^2. At most 512 rows: no
 * term is above 2^53. v = (x ^ centre) - 2^15, so the centre is 0 for uint16_t and 2^15 for int16_t.
 */
void of_trace_terms_16(const uint16_t *traces, int64_t n_samples, const int64_t *rows,
                       int64_t n_rows, int32_t centre, int64_t *sums)
{
    TILES(terms_16);
}

INLINE void sums_f32(const float *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                     int64_t at, int64_t width, const double *centre, double *sums)
{
    double total[6][BLOCK] ALIGNED = {{0}};
    for (int64_t r = 0; r < n_rows; r++) {
        const float *row = traces + rows[r] * n_samples + at;
        for (int64_t i = 0; i < width; i++) {
            double v = row[i] - centre[at + i], q = v * v, cube = q * v;
            total[0][i] += v;
            total[1][i] += q;
            total[2][i] += cube;
            total[3][i] += q * q;
            total[4][i] += q * cube;
            total[5][i] += cube * cube;
        }
    }
    for (int k = 0; k < 6; k++)
        for (int64_t i = 0; i < width; i++)
            sums[k * n_samples + at + i] += total[k][i];
}

INLINE void sum_f32(const float *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                    int64_t at, int64_t width, const double *centre, double *sums)
{
    (void)centre;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t i = at; i < at + width; i++)
            sums[i] += traces[rows[r] * n_samples + i];
}

/* sums[n_samples] += the sums of values of 32 bits, in double precision. */
void of_trace_sum_f32(const float *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                      double *sums)
{
    const double *centre = 0;
    TILES(sum_f32);
}

/* sums[6][n_samples] += the sums of (x - centre)^1..6 of values of 32 bits, in double precision. */
void of_trace_sums_f32(const float *traces, int64_t n_samples, const int64_t *rows, int64_t n_rows,
                       const double *centre, double *sums)
{
    TILES(sums_f32);
}
