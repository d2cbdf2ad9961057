// A netlist on Verilator, all nets counted in every cycle (side_channel_baselines.py, which writes
// plan.h). Prints processor time, wall time, and the mean power of a trace.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "Vtop.h"
#include "verilated.h"

#include "plan.h"

static uint64_t seed = 88172645463325252ULL;

// xorshift64: Marsaglia, "Xorshift RNGs", Journal of Statistical Software 2003.
static inline uint64_t fresh() {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static double spent(clockid_t clock) {
    timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t before[CHUNKS][8];
static uint64_t histogram[CYCLES][1 << 16];

#define COUNT(N, PORT)                                                      \
    for (int w = 0; w < 8; w++) {                                           \
        const uint64_t now = ((uint64_t)PORT[2 * w + 1] << 32) | PORT[2 * w]; \
        power += (uint64_t)__builtin_popcountll(now ^ before[N][w]);        \
        before[N][w] = now;                                                 \
    }

static void reset(Vtop &top, uint64_t *in) {
    top.rst = RESET;
    for (int i = 0; i < INPUTS; i++) in[i] = idle[i];
    SET_INPUTS(top, in)
    for (int n = 0; n < 2; n++) top.clk = 0, top.eval(), top.clk = 1, top.eval();
    top.rst = !RESET;
    top.clk = 0, top.eval();
    uint64_t power = 0;
    EACH_CHUNK(COUNT, top)
    top.clk = 1, top.eval();
    (void)power;
}

// The number of traces; whether there is a reset before each, which takes time, or before all.
int main(int, char **words) {
    const long traces = atol(words[1]);
    const bool each = atoi(words[2]);
    VerilatedContext context;
    Vtop top{&context};
    uint64_t in[INPUTS] = {0}, sum = 0;
    reset(top, in);
    const double cpu = spent(CLOCK_PROCESS_CPUTIME_ID), wall = spent(CLOCK_MONOTONIC);
    for (long trace = 0; trace < traces; trace++) {
        if (each) reset(top, in);
        for (int cycle = 0; cycle < CYCLES; cycle++) {
            uint64_t power = 0;
            for (int i = 0; i < INPUTS; i++) {
                const auto &now = plan[cycle][i];
                if (~now.keep) in[i] = (in[i] & now.keep) | (fresh() & now.random) | now.one;
            }
            SET_INPUTS(top, in)
            top.clk = 0;
            top.eval();
            EACH_CHUNK(COUNT, top)
            histogram[cycle][power & 0xffff]++;
            sum += power;
            top.clk = 1;
            top.eval();
        }
    }
    printf("%.6f %.6f %.3f\n", spent(CLOCK_PROCESS_CPUTIME_ID) - cpu,
           spent(CLOCK_MONOTONIC) - wall, (double)sum / (double)traces);
    return 0;
}
