// The program that replays a stimulus on a model and writes what it sees; the same for any design.
//
// Arguments: the stimulus, the samples, the waveform. The stimulus is as verilator_replay.py writes
// it. The samples are a line of hexadecimal numbers for each cycle, then a line "end"; where the
// replay cannot go on, that line says why instead, and the exit code is 3.
//
// Signals are found in Verilator's symbol table and not by VPI: of an output that is a register,
// VPI gives the copy at the port, and what is written there does not reach the register.
#include <bit>
#include <climits>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "Vtop__Syms.h"
#include "verilated.h"
#include "verilated_fst_c.h"
#include "verilated_sym_props.h"
#include "verilated_syms.h"

// Functions of the model, as Verilator 5.48 calls them; the last is missing where nothing is clocked.
void Vtop___024root___eval_static(Vtop___024root*);
void Vtop___024root___eval_initial(Vtop___024root*);
void Vtop___024root___eval_settle(Vtop___024root*);
__attribute__((weak)) void Vtop___024root___eval_triggers_vec__act(Vtop___024root*);

namespace {

static_assert(std::endian::native == std::endian::little, "signals are read byte by byte");

constexpr int REFUSED = 3;
constexpr uint64_t EDGE = 5;  // time units from the inputs of a cycle to its active edge
constexpr uint64_t CYCLE = 10;

using Bytes = std::vector<uint8_t>;  // of a number, the least significant first

struct Stop final {  // the replay cannot go on
    std::string why;
};

[[noreturn]] void damaged() { throw Stop{"damaged"}; }

// What the stimulus says, word by word. A program wrote it: any surprise ends the replay.
class Reader final {
    std::ifstream m_file;

public:
    explicit Reader(const char* path)
        : m_file{path, std::ios::binary} {}
    std::string word() {
        std::string text;
        if (!(m_file >> text)) damaged();
        return text;
    }
    int number() {
        int value = 0;
        if (!(m_file >> value)) damaged();
        return value;
    }
    size_t count() {
        const int value = number();
        if (value < 0) damaged();
        return static_cast<size_t>(value);
    }
    int keyword(const char* expected) {
        if (word() != expected) damaged();
        return number();
    }
    void newline() {
        if (m_file.get() != '\n') damaged();
    }
    std::string line() {
        std::string text;
        if (!std::getline(m_file, text)) damaged();
        return text;
    }
};

// A scalar, a vector, or one element of an array of them.
class Signal final {
    uint8_t* m_data = nullptr;
    size_t m_bits = 0;

public:
    Signal(Reader& in, const VerilatedContext& context) {
        m_bits = in.count();
        std::vector<int> indices(in.count());
        for (int& index : indices) index = in.number();
        in.newline();
        const std::string scopeName = in.line();
        const std::string name = in.line();
        const VerilatedScope* const scope = context.scopeFind(scopeName.c_str());
        const VerilatedVar* const var = scope ? scope->varFind(name.c_str()) : nullptr;
        if (!var || var->entBits() != m_bits || var->udims() != static_cast<int>(indices.size())
            || var->vltype() < VLVT_UINT8 || var->vltype() > VLVT_WDATA) {
            damaged();
        }
        void* place = var->datap();
        for (size_t i = 0; place && i < indices.size(); i++) {
            place = var->datapAdjustIndex(place, static_cast<int>(i) + 1, indices[i]);
        }
        if (!place) damaged();
        m_data = static_cast<uint8_t*>(place);
    }
    Bytes get() const { return Bytes(m_data, m_data + (m_bits + 7) / 8); }
    void set(const Bytes& value) const { std::copy(value.begin(), value.end(), m_data); }
    void edge(bool level) const { *m_data = level; }
    Bytes value(const std::string& digits) const {  // of a hexadecimal number
        Bytes bytes((m_bits + 7) / 8);
        if (digits.size() > 2 * bytes.size()) damaged();
        size_t nibble = 0;
        for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, ++nibble) {
            const bool decimal = *digit >= '0' && *digit <= '9';
            if (!decimal && (*digit < 'a' || *digit > 'f')) damaged();
            const int four = decimal ? *digit - '0' : *digit - 'a' + 10;
            bytes[nibble / 2] |= static_cast<uint8_t>(four << (nibble % 2 * 4));
        }
        if (m_bits % 8 && bytes.back() >> m_bits % 8) damaged();
        return bytes;
    }
};

std::string hexadecimal(const Bytes& bytes) {
    std::string text;
    for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
        text += "0123456789abcdef"[*byte >> 4];
        text += "0123456789abcdef"[*byte & 15];
    }
    return text;
}

struct Setting final {
    size_t signal;
    Bytes value;
};

class Replay final {
    VerilatedContext& m_context;
    Vtop& m_top;
    VerilatedFstC& m_wave;
    Reader& m_in;
    std::ofstream& m_out;
    std::vector<Signal> m_signals;
    bool m_rising = true;
    size_t m_clock = 0;
    size_t m_cycles = 0;
    size_t m_cycle = 0;
    std::vector<size_t> m_observed;

    [[noreturn]] void stop(const std::string& why) const {
        throw Stop{why + " " + std::to_string(m_cycle)};
    }
    size_t signal() {
        const size_t number = m_in.count();
        if (number >= m_signals.size()) damaged();
        return number;
    }
    std::vector<Setting> settings(const char* keyword) {
        const int count = m_in.keyword(keyword);
        std::vector<Setting> all;
        for (int i = 0; i < count; i++) {
            const size_t number = signal();
            all.push_back({number, m_signals[number].value(m_in.word())});
        }
        return all;
    }
    void apply(const std::vector<Setting>& all) const {
        for (const Setting& one : all) m_signals[one.signal].set(one.value);
    }
    void clock(bool active) const {
        if (m_clock < m_signals.size()) m_signals[m_clock].edge(active == m_rising);
    }
    void eval() {
        m_top.eval();
        if (m_context.gotFinish()) stop("finish");
    }
    // The first evaluation: initial blocks, then combinational logic. A model remembers levels from
    // before that logic has settled, so it would see an edge at each clock or reset that is 1 and
    // is no input itself. Looking for edges once before the design does makes these pass unseen.
    void start() {
        Vtop___024root* const root = m_top.rootp;
        Vtop___024root___eval_static(root);
        Vtop___024root___eval_initial(root);
        Vtop___024root___eval_settle(root);
        if (Vtop___024root___eval_triggers_vec__act) Vtop___024root___eval_triggers_vec__act(root);
        root->vlSymsp->__Vm_didInit = true;
        eval();
    }
    // Evaluate at the present time, and whatever the design has planned for before `next`.
    void settle(uint64_t next) {
        eval();
        m_wave.dump(m_context.time());
        while (m_top.eventsPending() && m_top.nextTimeSlot() < next) {
            m_context.time(m_top.nextTimeSlot());
            eval();
            m_wave.dump(m_context.time());
        }
        if (m_top.eventsPending()) stop("delay");
        m_context.time(next);
    }
    // What was written must be there unless an edge has changed it: at a net that something drives,
    // it is lost whenever it is written. (It could be an asynchronous reset, in the same cycle.)
    void hold(const std::vector<Setting>& pokes) {
        std::vector<Setting> changed;
        std::vector<Setting> before;
        for (const Setting& poke : pokes) {
            const Bytes seen = m_signals[poke.signal].get();
            if (seen == poke.value) continue;
            changed.push_back(poke);
            before.push_back({poke.signal, seen});
        }
        if (changed.empty()) return;
        apply(changed);
        eval();
        for (const Setting& poke : changed) {
            if (m_signals[poke.signal].get() != poke.value) {
                stop("driven " + std::to_string(poke.signal));
            }
        }
        apply(before);
        eval();
    }
    void sample() {
        std::string text;
        for (const size_t number : m_observed) {
            if (!text.empty()) text += ' ';
            text += hexadecimal(m_signals[number].get());
        }
        m_out << text << '\n';
    }

public:
    Replay(VerilatedContext& context, Vtop& top, VerilatedFstC& wave, Reader& in,
           std::ofstream& out)
        : m_context{context}
        , m_top{top}
        , m_wave{wave}
        , m_in{in}
        , m_out{out} {
        const int signals = m_in.keyword("signals");
        for (int i = 0; i < signals; i++) m_signals.emplace_back(m_in, m_context);
        m_rising = m_in.keyword("rising");
        m_clock = m_in.keyword("clock");
        if (m_clock > m_signals.size()) damaged();  // one past the last: there is none
        const int observed = m_in.keyword("observe");
        for (int i = 0; i < observed; i++) m_observed.push_back(signal());
        m_cycles = m_in.keyword("cycles");
    }
    void run() {
        clock(false);
        apply(settings("before"));
        start();
        for (m_cycle = 0; m_cycle < m_cycles; m_cycle++) {
            const std::vector<Setting> pokes = settings("pokes");
            apply(pokes);
            apply(settings("inputs"));
            if (!pokes.empty()) {
                eval();
                hold(pokes);
            }
            settle(CYCLE * m_cycle + EDGE);
            sample();
            clock(true);
            settle(CYCLE * (m_cycle + 1));
            clock(false);
            eval();
        }
        settle(CYCLE * m_cycles + EDGE);
        if (m_in.word() != "end") damaged();
        m_out << "end\n";
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    VerilatedContext context;
    Verilated::threadContextp(&context);
    context.commandArgs(1, argv);  // nothing of the command line is the design's business
    context.traceEverOn(true);
    context.fatalOnError(false);  // $fatal is told as $finish is
    context.errorLimit(INT_MAX);  // $error, $stop and assertions speak, but change nothing
    Vtop top{&context, ""};
    VerilatedFstC wave;
    top.trace(&wave, 99);
    std::ofstream out{argv[2], std::ios::binary};
    int code = 0;
    try {
        wave.open(argv[3]);
        Reader in{argv[1]};
        Replay{context, top, wave, in, out}.run();
    } catch (const Stop& stop) {
        out << stop.why << '\n';
        code = REFUSED;
    }
    wave.close();
    out.close();
    return out.fail() ? 2 : code;
}
