// The program around a SystemVerilog test bench: runs it to its $finish.
// Exit code 0: ended by $finish without an error; 3: no event left, but $finish was never reached.
#include <memory>
#include <string>

#include "Vtop.h"
#include "verilated.h"
#include "verilated_fst_c.h"
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

static VerilatedFstC* wave = nullptr;
static bool perInstance = false;

static void wrap_up(void*) {  // also called on the way out of a failed assertion
    if (wave) wave->close();
#if VM_COVERAGE
    Verilated::threadContextp()->coveragep()->forcePerInstance(perInstance);
    VerilatedCov::write();
#endif
}

int main(int argc, char** argv) {
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        const std::string word{argv[i]};
        trace = trace || word == "--trace";
        perInstance = perInstance || word == "--coverage-per-instance";
    }
    const std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    Verilated::threadContextp(context.get());
    context->traceEverOn(true);
    context->commandArgs(argc, argv);
    const std::unique_ptr<Vtop> top{new Vtop{context.get(), ""}};
    if (trace) {
        wave = new VerilatedFstC;
        top->trace(wave, 99);
        wave->open("dump.fst");
    }
    Verilated::addExitCb(wrap_up, nullptr);
    while (!context->gotFinish()) {
        top->eval();
        if (wave) wave->dump(context->time());
        if (!top->eventsPending()) break;
        context->time(top->nextTimeSlot());
    }
    top->final();
    wrap_up(nullptr);
    if (context->errorCount() > 0) return 1;
    return context->gotFinish() ? 0 : 3;
}
