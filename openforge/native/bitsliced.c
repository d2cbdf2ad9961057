/* Bit-sliced simulation of a netlist that is given as data (openforge/analysis/tape.py).
 *
 * A vector holds one net of 512 traces, a bit a trace; a batch is 512 traces. Everything is exact:
 * counts are integers, and a batch depends on the key and its number alone. No memory is allocated.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 512
#define WORDS 8
#define GROUP 8
#define PLANES 24 /* of a count: up to 2^24 - 1 toggles a cycle */
#define INLINE static inline __attribute__((always_inline))

typedef uint64_t V __attribute__((vector_size(64), may_alias));

typedef struct {
    uint32_t n_nets, n_blocks, n_registers, first_register, n_inputs, n_flags;
    const uint8_t *op, *counted;
    const uint32_t *first, *groups, *operand, *a, *b, *c;
    const uint32_t *depend, *depend_word;
    const uint64_t *depend_mask;
    const uint32_t *d;
    const uint8_t *d_inverted;
    const uint8_t *complemented, *weight;
} of_tape;

/* Where the bits of a trace come from. Variables are made once a trace, in order:
 *   kind 0: random; 1: bit `x` of the fixed value in the fixed class, random in the other;
 *   2: variable x xor variable y; 3: bit y of share group x (made before all variables);
 *   4: the class; 5: constant x.
 * Slots number the random vectors of a batch: slot 0 are the classes. */
typedef struct {
    uint32_t n_cycles, n_variables, n_slots, n_groups, n_pokes;
    const uint8_t *kind;
    const uint32_t *x, *y, *slot;
    /* arithmetic shares: modulus, fixed value, number of shares, bits of one, first slot, and
     * whether their sum is fixed (0), random (1) or by class (2) */
    const uint64_t *modulus, *fixed;
    const uint32_t *n_shares, *width, *group_slot, *group_first;
    const uint8_t *group_mode;
    /* events of a cycle: event_start[c] .. event_start[c + 1]; source 0 and 1 are constants,
     * 2 + v a variable, and from 2^31 on the random vector of a slot */
    const uint32_t *event_start, *event_vector, *event_source;
    const uint32_t *poke_vector, *poke_source;
} of_plan;

/* What is written; a null pointer leaves it out. */
typedef struct {
    uint32_t *histogram; /* [4][cycles][2][n_bins], to be added up over the first index */
    const int64_t *origin; /* [cycles] */
    uint64_t n_bins, *outside; /* values that had no bin */
    uint32_t *power;     /* [traces][cycles] */
    uint64_t *classes;   /* [batches][8] */
    uint32_t *toggles;   /* [cycle_end - cycle_begin][n_nets][2]: fixed class, both */
    uint32_t cycle_begin, cycle_end;
    uint64_t *values;    /* [cycles][n_watched][8] of the last batch, as vectors hold them */
    const uint32_t *watched;
    uint32_t n_watched;
    /* probing sets: bits start at set_start[s] in set_vector; 2^set_bits[s] cells */
    uint32_t n_sets;
    const uint32_t *set_start, *set_vector;
    const uint8_t *set_before; /* the value of the cycle before */
    const uint32_t *set_hash;  /* of each bit, what it adds to the cell by xor */
    const uint8_t *set_bits;
    const uint8_t *set_mixed;  /* whether the hash is to be mixed before it is cut */
    const uint64_t *set_table; /* where the cells of a set begin: [cycle][2][cells] */
    uint32_t *tables;
    V *before;                 /* [n_nets] scratch, when there are sets */
} of_output;

typedef struct {
    V *state;     /* [n_nets] */
    V *next;      /* [n_registers] */
    V *variables; /* [n_variables] */
    V *shares;    /* [share bits] */
    uint64_t *flags;
    uint16_t *count; /* [2][512]: low and high halves */
} of_scratch;

typedef struct {
    V plane[PLANES];
    V pending; /* of weight 8 */
    int has_pending, top;
} counter;

/* SplitMix64 as a function of a counter: Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014. */
INLINE V mixed(V x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

INLINE V random_vector(uint64_t key, uint64_t slot) {
    const uint64_t gamma = 0x9e3779b97f4a7c15ULL;
    const V step = {0, gamma, 2 * gamma, 3 * gamma, 4 * gamma, 5 * gamma, 6 * gamma, 7 * gamma};
    return mixed(key + (slot * WORDS + 1) * gamma + step);
}

INLINE V xor3(V a, V b, V c) {
#ifdef __AVX512F__
    return (V)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0x96);
#else
    return a ^ b ^ c;
#endif
}

INLINE V majority(V a, V b, V c) {
#ifdef __AVX512F__
    return (V)_mm512_ternarylogic_epi64((__m512i)a, (__m512i)b, (__m512i)c, 0xe8);
#else
    return (a & b) | (c & (a ^ b));
#endif
}

INLINE V chosen(V a, V b, V c) {
#ifdef __AVX512F__
    return (V)_mm512_ternarylogic_epi64((__m512i)c, (__m512i)b, (__m512i)a, 0xca);
#else
    return a ^ ((a ^ b) & c);
#endif
}

INLINE int any(V x) {
#ifdef __AVX512F__
    return _mm512_test_epi64_mask((__m512i)x, (__m512i)x) != 0;
#else
    return (x[0] | x[1] | x[2] | x[3] | x[4] | x[5] | x[6] | x[7]) != 0;
#endif
}

INLINE uint32_t ones(V x) {
#ifdef __AVX512VPOPCNTDQ__
    return (uint32_t)_mm512_reduce_add_epi64(_mm512_popcnt_epi64((__m512i)x));
#else
    uint32_t sum = 0;
    for (int w = 0; w < WORDS; w++) sum += (uint32_t)__builtin_popcountll(x[w]);
    return sum;
#endif
}

/* Add bits of weight 2^p to a count of each lane. */
INLINE void ripple(counter *n, int p, V x) {
    for (; p < n->top; p++) {
        const V carry = n->plane[p] & x;
        n->plane[p] ^= x;
        x = carry;
    }
    while (p < PLANES && any(x)) {
        const V carry = n->plane[p] & x;
        n->plane[p] ^= x;
        x = carry;
        n->top = ++p;
    }
}

INLINE void add8(counter *n, const V *t) {
    V one = n->plane[0], two = n->plane[1], four = n->plane[2], s;
    V a, b, c, d, e, f;
    a = majority(one, t[0], t[1]), one = xor3(one, t[0], t[1]);
    b = majority(one, t[2], t[3]), one = xor3(one, t[2], t[3]);
    c = majority(two, a, b), two = xor3(two, a, b);
    d = majority(one, t[4], t[5]), one = xor3(one, t[4], t[5]);
    e = majority(one, t[6], t[7]), one = xor3(one, t[6], t[7]);
    f = majority(two, d, e), two = xor3(two, d, e);
    s = majority(four, c, f), four = xor3(four, c, f);
    n->plane[0] = one, n->plane[1] = two, n->plane[2] = four;
    if (n->has_pending) {
        const V eight = n->plane[3];
        n->plane[3] = xor3(eight, n->pending, s);
        ripple(n, 4, majority(eight, n->pending, s));
    } else {
        n->pending = s;
    }
    n->has_pending ^= 1;
}

INLINE void finish(counter *n) {
    if (n->has_pending) ripple(n, 3, n->pending);
    n->has_pending = 0;
}

INLINE int changed(const of_tape *t, const uint64_t *flags, uint32_t item) {
    uint64_t found = 0;
    for (uint32_t i = t->depend[item]; i < t->depend[item + 1]; i++)
        found |= flags[t->depend_word[i]] & t->depend_mask[i];
    return found != 0;
}

INLINE void set_flag(uint64_t *flags, uint32_t flag, int value) {
    const uint64_t bit = 1ULL << (flag % 64);
    flags[flag / 64] = value ? flags[flag / 64] | bit : flags[flag / 64] & ~bit;
}

/* What a net adds to the power: its change, or (weights) its value. */
typedef struct {
    const of_tape *tape;
    of_scratch *s;
    counter *n;
    uint32_t *toggles; /* [n_nets][2] of this cycle, or null */
    V fixed;           /* traces of the fixed class */
} work;

INLINE V weighed(const of_tape *t, uint32_t vector, V value) {
    const V flip = (V){0} - (uint64_t)t->complemented[vector];
    const V keep = (V){0} - (uint64_t)t->weight[vector];
    return (value ^ flip) & keep;
}

/* Write eight vectors from `first` on and count; whether one has changed. */
INLINE V put8(const work *w, uint32_t first, const V *next, int weights, int nets, int masked) {
    V t[GROUP], any_change = {0};
    for (int k = 0; k < GROUP; k++) {
        V *out = w->s->state + first + k;
        t[k] = next[k] ^ *out;
        any_change |= t[k];
        *out = next[k];
        if (weights)
            t[k] = weighed(w->tape, first + k, next[k]);
        else if (masked)
            t[k] &= (V){0} - (uint64_t)w->tape->weight[first + k];
    }
    if (w->n) add8(w->n, t);
    if (nets)
        for (int k = 0; k < GROUP; k++) {
            uint32_t *cell = w->toggles + 2 * (size_t)(first + k);
            cell[0] += ones(t[k] & w->fixed);
            cell[1] += ones(t[k]);
        }
    return any_change;
}

#define EACH(EXPRESSION)                                                            \
    for (uint32_t g = 0; g < n; g++, a += GROUP, b += GROUP, c += GROUP) {          \
        V next[GROUP];                                                              \
        _Pragma("GCC unroll 8") for (int k = 0; k < GROUP; k++) {                    \
            const V x = state[a[k]];                                                \
            next[k] = EXPRESSION;                                                   \
        }                                                                           \
        change |= put8(w, first + g * GROUP, next, weights, nets, masked);          \
    }                                                                               \
    break

INLINE int block(const work *w, uint32_t i, int weights, int nets) {
    const of_tape *t = w->tape;
    const V *state = w->s->state;
    const uint32_t n = t->groups[i], first = t->first[i];
    const uint32_t *a = t->a + t->operand[i], *b = t->b + t->operand[i], *c = t->c + t->operand[i];
    const int masked = 0;
    V change = {0};
    switch (t->op[i]) {
    case 0: EACH(x & state[b[k]]);
    case 1: EACH(x & ~state[b[k]]);
    case 2: EACH(~(x | state[b[k]]));
    case 3: EACH(x ^ state[b[k]]);
    case 4: EACH(chosen(x, state[b[k]], state[c[k]]));
    case 5: EACH(chosen(~x, state[b[k]], state[c[k]]));
    default: EACH(x);
    }
    return any(change);
}

/* Gates, in order: each at most once. */
INLINE void settle(const work *w, int weights, int nets) {
    const of_tape *t = w->tape;
    const uint32_t registers = t->n_registers / GROUP;
    const uint32_t flag = t->n_flags - t->n_blocks;
    const work silent = {t, w->s, NULL, w->toggles, w->fixed};
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        const int go = weights || changed(t, w->s->flags, registers + i);
        const work *use = weights || t->counted[i] ? w : &silent;
        set_flag(w->s->flags, flag + i, go && block(use, i, weights, nets));
    }
}

/* Gates with a delay of one each. A step reads what the step before has left: consumers come before
 * what they read, so that nothing is copied. */
INLINE void settle_delayed(const work *w, int nets) {
    const of_tape *t = w->tape;
    const uint32_t registers = t->n_registers / GROUP, sources = t->n_flags - t->n_blocks;
    const work silent = {t, w->s, NULL, w->toggles, w->fixed};
    for (int first = 1, busy = 1; busy; first = 0) {
        busy = 0;
        for (uint32_t i = t->n_blocks; i-- > 0;) {
            const work *use = t->counted[i] ? w : &silent;
            const int go = changed(t, w->s->flags, registers + i) && block(use, i, 0, nets);
            set_flag(w->s->flags, sources + i, go);
            busy |= go;
        }
        if (first)
            for (uint32_t f = 0; f < sources; f++) set_flag(w->s->flags, f, 0);
    }
}

/* One variant for each of what is counted, so that none pays for another. */
#define VARIANT(NAME, BODY) \
    static __attribute__((noinline)) void NAME(const work *w) { BODY; }
VARIANT(settle_plain, settle(w, 0, 0))
VARIANT(settle_nets, settle(w, 0, 1))
VARIANT(settle_weights, settle(w, 1, 0))
VARIANT(settle_weights_nets, settle(w, 1, 1))
VARIANT(settle_steps, settle_delayed(w, 0))
VARIANT(settle_steps_nets, settle_delayed(w, 1))

static V source(const of_plan *p, const of_scratch *s, uint64_t key, uint64_t batch, uint32_t from) {
    if (from < 2) return (V){0} - (uint64_t)from;
    if (from < 1U << 31) return s->variables[from - 2];
    return random_vector(key, batch * p->n_slots + (from - (1U << 31)));
}

/* A number below q for each lane: the high half of a product, as Lemire does, biased by q / 2^64. */
static uint64_t below(uint64_t q, uint64_t random) {
    return (uint64_t)(((unsigned __int128)random * q) >> 64);
}

static void split(const of_plan *p, of_scratch *s, uint64_t key, uint64_t batch, uint32_t g, V c) {
    const uint64_t q = p->modulus[g];
    const uint32_t n = p->n_shares[g], width = p->width[g], slot = p->group_slot[g];
    uint64_t(*out)[WORDS] = (uint64_t(*)[WORDS])(s->shares + p->group_first[g]);
    memset(out, 0, sizeof(V) * n * width);
    for (uint32_t block = 0; block < LANES / WORDS; block++) {
        V left; /* what the shares that are not yet drawn must add up to */
        const V draw = random_vector(key, batch * p->n_slots + slot + block);
        for (int k = 0; k < WORDS; k++) {
            const uint32_t lane = block * WORDS + (uint32_t)k;
            const int by_class = c[lane / 64] >> (lane % 64) & 1;
            const int random = p->group_mode[g] == 2 ? by_class : p->group_mode[g];
            left[k] = random ? below(q, draw[k]) : p->fixed[g];
        }
        for (uint32_t share = 0; share < n; share++) {
            V value = left;
            if (share + 1 < n) {
                const uint64_t from = slot + (share + 1) * (LANES / WORDS) + block;
                const V other = random_vector(key, batch * p->n_slots + from);
                for (int k = 0; k < WORDS; k++) {
                    value[k] = below(q, other[k]);
                    left[k] = left[k] >= value[k] ? left[k] - value[k] : left[k] + (q - value[k]);
                }
            }
            for (uint32_t bit = 0; bit < width; bit++)
                for (int k = 0; k < WORDS; k++) {
                    const uint32_t lane = block * WORDS + (uint32_t)k;
                    out[share * width + bit][lane / 64] |= (value[k] >> bit & 1) << (lane % 64);
                }
        }
    }
}

static V prepare(const of_plan *p, of_scratch *s, uint64_t key, uint64_t batch) {
    const V c = random_vector(key, batch * p->n_slots);
    for (uint32_t g = 0; g < p->n_groups; g++) split(p, s, key, batch, g, c);
    for (uint32_t i = 0; i < p->n_variables; i++) {
        const V fresh = random_vector(key, batch * p->n_slots + p->slot[i]);
        switch (p->kind[i]) {
        case 0: s->variables[i] = fresh; break;
        case 1: s->variables[i] = chosen((V){0} - (uint64_t)p->x[i], fresh, c); break;
        case 2: s->variables[i] = s->variables[p->x[i]] ^ s->variables[p->y[i]]; break;
        case 3: s->variables[i] = s->shares[p->group_first[p->x[i]] + p->y[i]]; break;
        case 4: s->variables[i] = c; break;
        default: s->variables[i] = (V){0} - (uint64_t)p->x[i];
        }
    }
    return c;
}

/* Registers take what they have read; then the inputs change. */
INLINE void clock(const work *w, const of_plan *p, uint64_t key, uint64_t batch, uint32_t cycle,
                  uint32_t model, int nets) {
    const int weights = model == 1, all = model != 0 || cycle == 0; /* steps leave no flags */
    const of_tape *t = w->tape;
    of_scratch *s = w->s;
    const uint32_t groups = t->n_registers / GROUP, inputs = t->n_inputs / GROUP;
    uint64_t todo[1 + 65536 / 64];
    for (uint32_t g = 0; g < groups; g++) {
        const int go = all || changed(t, s->flags, g);
        set_flag(todo, g, go);
        if (!go) continue;
        const V flip = (V){0} - (uint64_t)t->d_inverted[g * GROUP];
        for (int k = 0; k < GROUP; k++) s->next[g * GROUP + k] = s->state[t->d[g * GROUP + k]] ^ flip;
    }
    for (uint32_t g = 0; g < groups; g++) {
        int moved = 0;
        if (todo[g / 64] >> (g % 64) & 1)
            moved = any(put8(w, t->first_register + g * GROUP, s->next + g * GROUP, weights, nets, 1));
        set_flag(s->flags, inputs + g, moved);
    }
    uint32_t e = p->event_start[cycle];
    const uint32_t end = p->event_start[cycle + 1];
    for (uint32_t g = 0; g < inputs; g++) { /* events are sorted by vector */
        const uint32_t first = (g + 1) * GROUP;
        V next[GROUP];
        int moved = 0;
        if (weights || (e < end && p->event_vector[e] < first + GROUP)) {
            memcpy(next, s->state + first, sizeof next);
            for (; e < end && p->event_vector[e] < first + GROUP; e++)
                next[p->event_vector[e] - first] = source(p, s, key, batch, p->event_source[e]);
            moved = any(put8(w, first, next, weights, nets, 1));
        }
        set_flag(s->flags, g, moved);
    }
}

/* The counts of all lanes: low halves in count[0 .. 511], high halves in count[512 ..]. */
static void spread(const counter *n, uint16_t *count) {
    memset(count, 0, 2 * LANES * sizeof *count);
    for (int p = 0; p < n->top; p++) {
        uint16_t *out = count + (p < 16 ? 0 : LANES);
        const uint16_t weight = (uint16_t)(1U << (p % 16));
#ifdef __AVX512BW__
        const __m512i add = _mm512_set1_epi16((short)weight);
        for (int i = 0; i < 16; i++) {
            const __mmask32 m = (__mmask32)(n->plane[p][i / 2] >> (i % 2 * 32));
            __m512i *at = (__m512i *)(out + 32 * i);
            *at = _mm512_mask_or_epi32(*at, 0xffff, *at, _mm512_maskz_mov_epi16(m, add));
        }
#else
        for (int lane = 0; lane < LANES; lane++)
            out[lane] |= (uint16_t)((n->plane[p][lane / 64] >> (lane % 64) & 1) * weight);
#endif
    }
}

static void record(const of_output *o, const of_plan *p, const counter *n, const uint16_t *count,
                   uint64_t batch, uint32_t cycle, V c) {
    const size_t bins = (size_t)o->n_bins, part = (size_t)p->n_cycles * 2 * bins;
    const int high = n->top > 16;
    uint32_t *row = o->histogram ? o->histogram + (size_t)cycle * 2 * bins : NULL;
    const int64_t origin = row ? o->origin[cycle] : 0;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const uint32_t value = count[lane] + (high ? (uint32_t)count[LANES + lane] << 16 : 0);
        if (row) {
            const uint64_t bin = (uint64_t)((int64_t)value - origin);
            const size_t random = c[lane / 64] >> (lane % 64) & 1;
            if (bin < bins)
                row[(lane % 4) * part + random * bins + bin]++;
            else
                ++*o->outside;
        }
        if (o->power) o->power[(batch * LANES + lane) * p->n_cycles + cycle] = value;
    }
}

static void probe(const of_output *o, const V *state, uint32_t cycle, V c, uint32_t *cell) {
    for (uint32_t s = 0; s < o->n_sets; s++) {
        const size_t cells = (size_t)1 << o->set_bits[s];
        uint32_t *table = o->tables + o->set_table[s] + (size_t)cycle * 2 * cells;
        memset(cell, 0, LANES * sizeof *cell);
        for (uint32_t i = o->set_start[s]; i < o->set_start[s + 1]; i++) {
            const V bits = (o->set_before[i] ? o->before : state)[o->set_vector[i]];
            const uint32_t hash = o->set_hash[i];
#ifdef __AVX512F__
            const __m512i add = _mm512_set1_epi32((int)hash);
            for (int j = 0; j < LANES / 16; j++) {
                const __mmask16 m = (__mmask16)(bits[j / 4] >> (j % 4 * 16));
                __m512i *at = (__m512i *)(cell + 16 * j);
                *at = _mm512_mask_xor_epi32(*at, m, *at, add);
            }
#else
            for (int lane = 0; lane < LANES; lane++)
                cell[lane] ^= hash & (0U - (uint32_t)(bits[lane / 64] >> (lane % 64) & 1));
#endif
        }
        for (int lane = 0; lane < LANES; lane++) {
            uint32_t at = cell[lane];
            if (o->set_mixed[s]) at = (at ^ at >> 16) * 0x7feb352dU, at = (at ^ at >> 15) * 0x846ca68bU;
            at = o->set_mixed[s] ? at >> (32 - o->set_bits[s]) : at;
            table[(c[lane / 64] >> (lane % 64) & 1) * cells + at]++;
        }
    }
}

/* Simulate batches from `first` on. `model`: 0 Hamming distance, 1 Hamming weight, 2 toggles with
 * glitches. `start` holds the vectors of the cycle before the first, a byte each. */
int of_simulate(const of_tape *t, const of_plan *p, const uint8_t *start, uint64_t key,
                uint64_t first, uint64_t n_batches, uint32_t model, const of_output *o,
                of_scratch *s) {
    typedef void (*settler)(const work *);
    static const settler settlers[3][2] = {{settle_plain, settle_nets},
                                           {settle_weights, settle_weights_nets},
                                           {settle_steps, settle_steps_nets}};
    uint32_t cell[LANES] __attribute__((aligned(64)));
    if (t->n_registers / GROUP > 65536) return 1;
    for (uint64_t b = 0; b < n_batches; b++) {
        const uint64_t batch = first + b;
        const V c = prepare(p, s, key, batch);
        for (uint32_t v = 0; v < t->n_nets; v++) s->state[v] = (V){0} - (uint64_t)start[v];
        memset(s->flags, 0, (t->n_flags + 63) / 64 * sizeof *s->flags);
        if (p->n_pokes) {
            const work quiet = {t, s, NULL, NULL, c};
            for (uint32_t i = 0; i < p->n_pokes; i++)
                s->state[p->poke_vector[i]] = source(p, s, key, batch, p->poke_source[i]);
            for (uint32_t i = 0; i < t->n_blocks; i++) block(&quiet, i, 0, 0);
        }
        if (o->classes) memcpy(o->classes + b * WORDS, &c, sizeof c);
        for (uint32_t cycle = 0; cycle < p->n_cycles; cycle++) {
            counter n = {.top = 4};
            uint32_t *toggles = NULL;
            if (o->toggles && cycle >= o->cycle_begin && cycle < o->cycle_end)
                toggles = o->toggles + (size_t)(cycle - o->cycle_begin) * t->n_nets * 2;
            const work w = {t, s, &n, toggles, ~c};
            if (o->n_sets) memcpy(o->before, s->state, sizeof(V) * t->n_nets);
            if (toggles)
                clock(&w, p, key, batch, cycle, model, 1);
            else
                clock(&w, p, key, batch, cycle, model, 0);
            settlers[model][toggles != NULL](&w);
            finish(&n);
            if (o->histogram || o->power) {
                spread(&n, s->count);
                record(o, p, &n, s->count, b, cycle, c);
            }
            if (o->n_sets) probe(o, s->state, cycle, c, cell);
            for (uint32_t i = 0; i < o->n_watched; i++)
                memcpy(o->values + ((size_t)cycle * o->n_watched + i) * WORDS,
                       s->state + o->watched[i], sizeof(V));
        }
    }
    return 0;
}

uint32_t of_sizes(uint32_t which) {
    static const uint32_t sizes[] = {sizeof(of_tape), sizeof(of_plan), sizeof(of_output),
                                     sizeof(of_scratch)};
    return which < 4 ? sizes[which] : 0;
}

/* What the processor has: 4 for x86-64-v4 with the extensions that are used, 3 for v3, else 1. */
uint32_t of_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
                   __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
    if (v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vpopcntdq") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi"))
        return 4;
    if (v3) return 3;
#endif
    return 1;
}
