// State machines in the styles that people write.
package styles_pkg;
  typedef enum logic [1:0] {IDLE, RUN, DONE} state_t;
endpackage

interface link (input logic clk);
  logic valid;
  modport source (output valid);
endinterface

module two_process import styles_pkg::*; (input logic clk, rst_n, go, output logic busy, link.source out);
  state_t state_q, state_d;
  always_comb begin
    state_d = state_q;
    unique case (state_q)
      IDLE: if (go) state_d = RUN;
      RUN: state_d = DONE;
      DONE: state_d = go ? RUN : IDLE;
      default: state_d = IDLE;
    endcase
  end
  always_ff @(posedge clk or negedge rst_n)
    if (!rst_n) state_q <= IDLE;
    else state_q <= state_d;
  assign busy = state_q != IDLE;
  assign out.valid = busy;
endmodule

module one_process (input logic clk, rst, go, output logic busy);
  localparam logic [1:0] A = 2'd0, B = 2'd1, C = 2'd2;
  logic [1:0] state;
  always_ff @(posedge clk)
    if (rst) state <= A;
    else if (state == A && go) state <= B;
    else if (state == B) state <= C;
    else if (state == C) state <= A;
  assign busy = state != A;
endmodule

module styles #(parameter int WIDTH = 4) (
    input logic clk, rst_n, rst, go, input logic [WIDTH-1:0] x,
    output logic [WIDTH-1:0] y, output logic [1:0] busy
);
  typedef struct packed {logic [WIDTH-1:0] value; logic seen;} item_t;
  item_t item_q;
  link wire_out (.clk);
  two_process u_two (.clk, .rst_n, .go, .busy(busy[0]), .out(wire_out));
  one_process u_one (.clk, .rst, .go, .busy(busy[1]));
  for (genvar i = 0; i < 2; i++) begin : g_delay
    logic q;
    always_ff @(posedge clk) q <= x[i];
  end
  always_ff @(posedge clk) item_q.value <= x;
  always_comb y = item_q.value;
  always_comb if (rst_n) begin
    a_small: assert (y <= 15);
  end
  a_next: assert property (@(posedge clk) go |-> rst_n);
endmodule
