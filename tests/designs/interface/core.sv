// Names of every kind: ranges as declared, generate blocks, registers below the top, memories.
package core_pkg;
  typedef struct packed {logic valid; logic [3:0] error;} status_t;
endpackage

module core_cell (input logic clk, rst_n, input logic [3:0] d, output logic [3:0] q);
  for (genvar i = 0; i < 4; i++) begin : gen
    logic [1:0] r;
    always_ff @(posedge clk or negedge rst_n) if (!rst_n) r <= '0; else r <= {r[0], d[i]};
    assign q[i] = ^r;
  end
endmodule

module core import core_pkg::*; (
    input logic clk, rst_n, start, mode,
    input logic [15:8] key,
    input logic [0:7] data,
    input logic [3:0] addr, share0, share1, mask,
    input logic [4:0] wide,
    input logic we,
    output logic [7:0] result,
    output logic [3:0] word_addr,
    output status_t status,
    output logic in_ready, done, equal, strange,
    output logic [3:0] passed
);
  logic [7:0] table_mem [4:19];
  logic [3:0] state;
  logic unused;
  wire [3:0] mixed = state ^ share1;
  always_ff @(posedge clk) begin
    if (we) table_mem[addr] <= key;
    state <= mixed ^ mask ^ wide[3:0] ^ {4{wide[4]}};
    done <= start & mode;
    unused <= start;
  end
  core_cell u_cell (.clk, .rst_n, .d(share0), .q(passed));
  assign result = table_mem[addr] ^ data;
  assign word_addr = addr;
  assign status = {start, state};
  assign in_ready = !done;
  assign equal = key == data;
  assign strange = mode;
endmodule
