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
    uint32_t *histogram; /* [2][cycles][2][n_bins], to be added up over the first index */
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

/* A count of each lane, as bits: plane p has weight 2^p. What is added up waits in `eight` and
 * `sixteen` for a second one of its weight; `waiting` says which are there, as a number of eights. */
typedef struct {
    V plane[PLANES];
    V eight, sixteen;
    int waiting, top;
} counter;

/* The planes that every net is added to: kept in registers while a block is evaluated. */
typedef struct {
    V one, two, four;
} low_planes;

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

/* Add a vector of weight 8. */
INLINE void add_eight(counter *n, V x) {
    if (n->waiting & 1) {
        const V eight = n->plane[3];
        const V carry = majority(eight, n->eight, x);
        n->plane[3] = xor3(eight, n->eight, x);
        if (n->waiting & 2) {
            const V sixteen = n->plane[4];
            n->plane[4] = xor3(sixteen, n->sixteen, carry);
            ripple(n, 5, majority(sixteen, n->sixteen, carry));
        } else {
            n->sixteen = carry;
        }
    } else {
        n->eight = x;
    }
    n->waiting = (n->waiting + 1) & 3;
}

/* Add eight vectors of weight 1; what is left has weight 8. */
INLINE V add8(low_planes *n, const V *t) {
    V a, b, c, d, e, f, s;
    a = majority(n->one, t[0], t[1]), n->one = xor3(n->one, t[0], t[1]);
    b = majority(n->one, t[2], t[3]), n->one = xor3(n->one, t[2], t[3]);
    c = majority(n->two, a, b), n->two = xor3(n->two, a, b);
    d = majority(n->one, t[4], t[5]), n->one = xor3(n->one, t[4], t[5]);
    e = majority(n->one, t[6], t[7]), n->one = xor3(n->one, t[6], t[7]);
    f = majority(n->two, d, e), n->two = xor3(n->two, d, e);
    s = majority(n->four, c, f), n->four = xor3(n->four, c, f);
    return s;
}

INLINE low_planes taken(const counter *n) {
    return (low_planes){n->plane[0], n->plane[1], n->plane[2]};
}

INLINE void put_back(counter *n, const low_planes *low) {
    n->plane[0] = low->one, n->plane[1] = low->two, n->plane[2] = low->four;
}

INLINE void finish(counter *n) {
    if (n->waiting & 1) ripple(n, 3, n->eight);
    if (n->waiting & 2) ripple(n, 4, n->sixteen);
    n->waiting = 0;
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
    const uint64_t *in_turn; /* of each group of registers, a bit */
    V fixed;           /* traces of the fixed class */
    uint64_t *evaluated; /* blocks, so far */
} work;

INLINE V weighed(const of_tape *t, uint32_t vector, V value) {
    const V flip = (V){0} - (uint64_t)t->complemented[vector];
    const V keep = (V){0} - (uint64_t)t->weight[vector];
    return (value ^ flip) & keep;
}

/* Add the ones of eight vectors to the table: those of the fixed class, and all. */
INLINE void tally(const work *w, uint32_t first, const V *t) {
    uint32_t *cell = w->toggles + 2 * (size_t)first;
#ifdef __AVX512VPOPCNTDQ__
    __m512i x[GROUP];
    for (int k = 0; k < GROUP; k++) {
        const __m512i fixed = _mm512_popcnt_epi64((__m512i)(t[k] & w->fixed));
        x[k] = _mm512_or_si512(fixed, _mm512_slli_epi64(_mm512_popcnt_epi64((__m512i)t[k]), 32));
    }
    for (int k = 0; k < 4; k++) /* sums of neighbours: one word a vector after three steps */
        x[k] = _mm512_add_epi64(_mm512_unpacklo_epi64(x[2 * k], x[2 * k + 1]),
                                _mm512_unpackhi_epi64(x[2 * k], x[2 * k + 1]));
    for (int k = 0; k < 2; k++)
        x[k] = _mm512_add_epi64(_mm512_shuffle_i64x2(x[2 * k], x[2 * k + 1], 0x88),
                                _mm512_shuffle_i64x2(x[2 * k], x[2 * k + 1], 0xdd));
    x[0] = _mm512_add_epi64(_mm512_shuffle_i64x2(x[0], x[1], 0x88),
                            _mm512_shuffle_i64x2(x[0], x[1], 0xdd));
    _mm512_storeu_si512(cell, _mm512_add_epi32(_mm512_loadu_si512(cell), x[0]));
#else
    for (int k = 0; k < GROUP; k++) {
        cell[2 * k] += ones(t[k] & w->fixed);
        cell[2 * k + 1] += ones(t[k]);
    }
#endif
}

/* Write eight vectors from `first` on; whether one has changed. What they count for is in `t`. */
INLINE V put8(const work *w, V *out, uint32_t first, const V *next, V *t, int weights) {
    V any_change = {0};
    for (int k = 0; k < GROUP; k++) {
        t[k] = next[k] ^ out[k];
        any_change |= t[k];
        out[k] = next[k];
        if (weights) t[k] = weighed(w->tape, first + k, next[k]);
    }
    return any_change;
}

/* The same for inputs and registers, some of which may not count, with what they add. */
INLINE int put_masked(const work *w, low_planes *low, uint32_t first, const V *next, int weights,
                      int nets) {
    V t[GROUP];
    uint64_t counted;
    const V change = put8(w, w->s->state + first, first, next, t, weights);
    memcpy(&counted, w->tape->weight + first, sizeof counted);
    if (!weights && counted != 0x0101010101010101ULL)
        for (int k = 0; k < GROUP; k++) t[k] &= (V){0} - (counted >> (8 * k) & 1);
    add_eight(w->n, add8(low, t));
    if (nets) tally(w, first, t);
    return any(change);
}

#define EACH(EXPRESSION)                                                            \
    for (uint32_t g = 0; g < n; g++, a += GROUP, b += GROUP, c += GROUP, out += GROUP) { \
        V next[GROUP], t[GROUP];                                                    \
        _Pragma("GCC unroll 8") for (int k = 0; k < GROUP; k++) {                    \
            const V x = state[a[k]];                                                \
            next[k] = EXPRESSION;                                                   \
        }                                                                           \
        change |= put8(w, out, first + g * GROUP, next, t, weights);                \
        if (counted) add_eight(w->n, add8(&low, t));                                \
        if (nets && counted) tally(w, first + g * GROUP, t);                        \
    }                                                                               \
    break

INLINE int block(const work *w, uint32_t i, int weights, int nets, int counted) {
    const of_tape *t = w->tape;
    V *const state = w->s->state;
    const uint32_t n = t->groups[i], first = t->first[i];
    const uint32_t *a = t->a + t->operand[i], *b = t->b + t->operand[i], *c = t->c + t->operand[i];
    V *out = state + first;
    low_planes low = counted ? taken(w->n) : (low_planes){{0}, {0}, {0}};
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
    if (counted) put_back(w->n, &low);
    return any(change);
}

INLINE int evaluate(const work *w, uint32_t i, int weights, int nets) {
    return w->tape->counted[i] ? block(w, i, weights, nets, 1) : block(w, i, weights, nets, 0);
}

/* Gates, in order: each at most once. */
INLINE void settle(const work *w, int weights, int nets) {
    const of_tape *t = w->tape;
    const uint32_t registers = t->n_registers / GROUP;
    const uint32_t flag = t->n_flags - t->n_blocks;
    for (uint32_t i = 0; i < t->n_blocks; i++) {
        const int go = weights || changed(t, w->s->flags, registers + i);
        *w->evaluated += (uint64_t)go;
        set_flag(w->s->flags, flag + i, go && evaluate(w, i, weights, nets));
    }
}

/* The same without flags, where nearly every block would be evaluated anyway. */
INLINE void settle_busy(const work *w) {
    for (uint32_t i = 0; i < w->tape->n_blocks; i++) evaluate(w, i, 0, 0);
}

/* Gates with a delay of one each. A step reads what the step before has left: consumers come before
 * what they read, so that nothing is copied. */
INLINE void settle_delayed(const work *w, int nets) {
    const of_tape *t = w->tape;
    const uint32_t registers = t->n_registers / GROUP, sources = t->n_flags - t->n_blocks;
    for (int first = 1, busy = 1; busy; first = 0) {
        busy = 0;
        for (uint32_t i = t->n_blocks; i-- > 0;) {
            const int go = changed(t, w->s->flags, registers + i) && evaluate(w, i, 0, nets);
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
VARIANT(settle_all, settle_busy(w))
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

/* Bit `bit` of each of eight numbers, the first one's lowest. */
INLINE uint64_t bits_at(V value, uint32_t bit) {
#ifdef __AVX512F__
    return _mm512_test_epi64_mask((__m512i)value, _mm512_set1_epi64((long long)(1ULL << bit)));
#else
    uint64_t found = 0;
    for (int k = 0; k < WORDS; k++) found |= (value[k] >> bit & 1) << k;
    return found;
#endif
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
                out[share * width + bit][block / 8] |= bits_at(value, bit) << (block % 8 * WORDS);
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

#define MOST_REGISTER_GROUPS 65536

/* Whether a group of registers can take its values when its turn comes: none of them is that of a
 * register that has taken another by then. */
INLINE int in_turn(const of_tape *t, uint32_t g) {
    for (int k = 0; k < GROUP; k++) {
        const uint32_t from = t->d[g * GROUP + k] - t->first_register;
        if (from < g * GROUP) return 0;
    }
    return 1;
}

INLINE void take(const work *w, uint32_t g, V *next) {
    const uint32_t *d = w->tape->d + g * GROUP;
    const V *state = w->s->state;
    if (w->tape->d_inverted[g * GROUP])
        for (int k = 0; k < GROUP; k++) next[k] = ~state[d[k]];
    else
        for (int k = 0; k < GROUP; k++) next[k] = state[d[k]];
}

/* Registers take what they have read; then the inputs change. */
INLINE void clock(const work *w, const of_plan *p, uint64_t key, uint64_t batch, uint32_t cycle,
                  uint32_t model, int nets, int busy) {
    const int weights = model == 1; /* steps, and what is busy, leave no flags */
    const int all = busy || model != 0 || cycle == 0;
    const of_tape *t = w->tape;
    of_scratch *s = w->s;
    const uint32_t groups = t->n_registers / GROUP, inputs = t->n_inputs / GROUP;
    uint64_t todo[1 + MOST_REGISTER_GROUPS / 64];
    low_planes low = taken(w->n);
    for (uint32_t g = 0; g < groups; g++) {
        if (w->in_turn[g / 64] >> (g % 64) & 1) continue;
        const int go = all || changed(t, s->flags, g);
        set_flag(todo, g, go);
        if (go) take(w, g, s->next + g * GROUP);
    }
    for (uint32_t g = 0; g < groups; g++) {
        const uint32_t first = t->first_register + g * GROUP;
        V next[GROUP];
        int moved = 0;
        if (w->in_turn[g / 64] >> (g % 64) & 1) {
            if (all || changed(t, s->flags, g)) {
                take(w, g, next);
                moved = put_masked(w, &low, first, next, weights, nets);
            }
        } else if (todo[g / 64] >> (g % 64) & 1) {
            moved = put_masked(w, &low, first, s->next + g * GROUP, weights, nets);
        }
        if (!busy) set_flag(s->flags, inputs + g, moved);
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
            moved = put_masked(w, &low, first, next, weights, nets);
        }
        if (!busy) set_flag(s->flags, g, moved);
    }
    put_back(w->n, &low);
}

/* The counts of all lanes: low halves in count[0 .. 511], high halves in count[512 ..], which are
 * written when there are more than 16 planes. */
static void spread(const counter *n, uint16_t *count) {
#ifdef __AVX512BW__
    for (int half = 0; half < 2; half++) { /* of the lanes: what fits into registers */
        __m512i sum[8] = {{0}};
        for (int p = 0; p < n->top; p++) {
            if (p == 16) {
                for (int i = 0; i < 8; i++) {
                    _mm512_store_si512(count + 256 * half + 32 * i, sum[i]);
                    sum[i] = _mm512_setzero_si512();
                }
            }
            const __m512i add = _mm512_set1_epi16((short)(1U << (p % 16)));
            const uint32_t *bits = (const uint32_t *)&n->plane[p] + 8 * half;
            for (int i = 0; i < 8; i++)
                sum[i] = _mm512_mask_add_epi16(sum[i], (__mmask32)bits[i], sum[i], add);
        }
        uint16_t *out = count + (n->top > 16 ? LANES : 0) + 256 * half;
        for (int i = 0; i < 8; i++) _mm512_store_si512(out + 32 * i, sum[i]);
    }
#else
    memset(count, 0, 2 * LANES * sizeof *count);
    for (int p = 0; p < n->top; p++) {
        uint16_t *out = count + (p < 16 ? 0 : LANES);
        const uint16_t weight = (uint16_t)(1U << (p % 16));
        for (int lane = 0; lane < LANES; lane++)
            out[lane] |= (uint16_t)((n->plane[p][lane / 64] >> (lane % 64) & 1) * weight);
    }
#endif
}

INLINE uint32_t power_of(const counter *n, const uint16_t *count, uint32_t lane) {
    return count[lane] + (n->top > 16 ? (uint32_t)count[LANES + lane] << 16 : 0);
}

/* Count the powers of a cycle. */
static void histogram(const of_output *o, const of_plan *p, const counter *n, const uint16_t *count,
                      uint32_t cycle, V c) {
    const size_t bins = (size_t)o->n_bins, part = (size_t)p->n_cycles * 2 * bins;
    uint32_t *row = o->histogram + (size_t)cycle * 2 * bins;
    const int64_t origin = o->origin[cycle];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const uint64_t bin = (uint64_t)((int64_t)power_of(n, count, lane) - origin);
        const size_t random = c[lane / 64] >> (lane % 64) & 1;
        if (bin < bins)
            row[(lane % 2) * part + random * bins + bin]++;
        else
            ++*o->outside;
    }
}

#ifdef __AVX512BW__
/* The same where all powers have bins, and 16 bits can number them; whether that was so. */
static int short_histogram(const of_output *o, const of_plan *p, const counter *n,
                           const uint16_t *count, uint32_t cycle, V c) {
    const uint64_t bins = o->n_bins, part = (uint64_t)p->n_cycles * 2 * bins;
    const int64_t origin = o->origin[cycle];
    if (n->top > 16 || bins > 32768 || origin < 0 || (uint64_t)origin + bins > 65536) return 0;
    uint16_t at[LANES] __attribute__((aligned(64)));
    const __m512i from = _mm512_set1_epi16((short)origin), size = _mm512_set1_epi16((short)bins);
    __mmask32 outside = 0;
    for (uint32_t i = 0; i < LANES / 32; i++) {
        const __m512i bin = _mm512_sub_epi16(_mm512_load_si512(count + 32 * i), from);
        const __mmask32 random = (__mmask32)(c[i / 2] >> (i % 2 * 32));
        outside |= _mm512_cmpge_epu16_mask(bin, size); /* what is below the origin wraps */
        _mm512_store_si512(at + 32 * i, _mm512_mask_add_epi16(bin, random, bin, size));
    }
    if (outside) return 0;
    uint32_t *zero = o->histogram + (size_t)cycle * 2 * bins;
    uint32_t *one = zero + part;
    for (uint32_t lane = 0; lane < LANES; lane += 2) {
        zero[at[lane]]++;
        one[at[lane + 1]]++;
    }
    return 1;
}
#else
static int short_histogram(const of_output *o, const of_plan *p, const counter *n,
                           const uint16_t *count, uint32_t cycle, V c) {
    (void)o, (void)p, (void)n, (void)count, (void)cycle, (void)c;
    return 0;
}
#endif

static void record(const of_output *o, const of_plan *p, const counter *n, uint16_t *count,
                   uint64_t batch, uint32_t cycle, V c) {
    spread(n, count);
    if (o->histogram && !short_histogram(o, p, n, count, cycle, c))
        histogram(o, p, n, count, cycle, c);
    if (o->power)
        for (uint32_t lane = 0; lane < LANES; lane++)
            o->power[(batch * LANES + lane) * p->n_cycles + cycle] = power_of(n, count, lane);
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
    const V either[2] = {{0}, ~(V){0}};
    uint32_t cell[LANES] __attribute__((aligned(64)));
    uint64_t turns[1 + MOST_REGISTER_GROUPS / 64];
    if (t->n_registers / GROUP > MOST_REGISTER_GROUPS) return 1;
    for (uint32_t g = 0; g < t->n_registers / GROUP; g++) set_flag(turns, g, in_turn(t, g));
    uint64_t evaluated = 0;
    const uint64_t offered = (uint64_t)p->n_cycles * t->n_blocks;
    int busy = 0;
    for (uint64_t b = 0; b < n_batches; b++) {
        const uint64_t batch = first + b;
        if (b == 1) busy = model == 0 && !o->toggles && evaluated * 4 >= offered * 3;
        const V c = prepare(p, s, key, batch);
        for (uint32_t v = 0; v < t->n_nets; v++) s->state[v] = either[start[v]];
        memset(s->flags, 0, (t->n_flags + 63) / 64 * sizeof *s->flags);
        if (p->n_pokes) {
            const work quiet = {t, s, NULL, NULL, turns, c, NULL};
            for (uint32_t i = 0; i < p->n_pokes; i++)
                s->state[p->poke_vector[i]] = source(p, s, key, batch, p->poke_source[i]);
            for (uint32_t i = 0; i < t->n_blocks; i++) block(&quiet, i, 0, 0, 0);
        }
        if (o->classes) memcpy(o->classes + b * WORDS, &c, sizeof c);
        for (uint32_t cycle = 0; cycle < p->n_cycles; cycle++) {
            counter n = {.top = 5};
            uint32_t *toggles = NULL;
            if (o->toggles && cycle >= o->cycle_begin && cycle < o->cycle_end)
                toggles = o->toggles + (size_t)(cycle - o->cycle_begin) * t->n_nets * 2;
            const work w = {t, s, &n, toggles, turns, ~c, &evaluated};
            if (o->n_sets) memcpy(o->before, s->state, sizeof(V) * t->n_nets);
            if (toggles)
                clock(&w, p, key, batch, cycle, model, 1, 0);
            else if (busy)
                clock(&w, p, key, batch, cycle, 0, 0, 1);
            else
                clock(&w, p, key, batch, cycle, model, 0, 0);
            (busy ? settle_all : settlers[model][toggles != NULL])(&w);
            finish(&n);
            if (o->histogram || o->power) record(o, p, &n, s->count, b, cycle, c);
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
