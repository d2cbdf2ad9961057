// An index of these names an element (`bad_`), or a bit (`good_`).
package arrays_pkg;
  typedef struct packed {logic [2:0] high; logic low;} pair_t;
  typedef enum logic [1:0] {IDLE, BUSY} state_t;
  typedef logic [3:0] nibble_t;
endpackage

module arrays import arrays_pkg::*; (
    input logic clk,
    input logic [3:0] good_vector,
    input nibble_t good_named,
    input pair_t good_struct,
    input int good_integer,
    input logic [1:0][3:0] bad_packed,
    input nibble_t [1:0] bad_named,
    input logic [3:0] bad_unpacked [2],
    input logic bad_bits [4],
    output logic ready
);
  logic [1:0][3:0] bad_register;
  state_t good_state;
  always_ff @(posedge clk) begin
    bad_register <= bad_packed ^ bad_named;
    good_state <= good_state == IDLE ? BUSY : IDLE;
    ready <= ^{bad_register, good_state, good_vector, good_named, good_struct, good_integer,
               bad_unpacked[0], bad_unpacked[1], bad_bits[2], bad_bits[3]};
  end
endmodule
