// The permutation Keccak-f[1600], one round a cycle: 24 cycles from a state taken to its result.
module keccak_f1600
  import keccak_pkg::*;
(
    input  logic    clk,
    input  logic    rst_n,
    input  logic    in_valid,
    output logic    in_ready,
    input  keccak_t in_state,
    output logic    out_valid,
    input  logic    out_ready,
    output keccak_t out_state
);

  localparam round_t LAST = round_t'(ROUNDS - 1);

  fsm_t    fsm_q, fsm_d;
  round_t  index_q;
  keccak_t state_q;
  keccak_t next_state;

  keccak_round u_round (.a(state_q), .index(index_q), .r(next_state));

  always_comb begin
    fsm_d = fsm_q;
    unique case (fsm_q)
      IDLE:  if (in_valid) fsm_d = ROUND;
      ROUND: if (index_q == LAST) fsm_d = DONE;
      DONE:  if (out_ready) fsm_d = IDLE;
    endcase
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) fsm_q <= IDLE;
    else fsm_q <= fsm_d;
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) index_q <= '0;
    else if (fsm_q == ROUND) index_q <= index_q == LAST ? '0 : index_q + 1'b1;
  end

  // The reset also clears the state: it may hold a key.
  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) state_q <= '0;
    else if (in_ready && in_valid) state_q <= in_state;
    else if (fsm_q == ROUND) state_q <= next_state;
  end

  assign in_ready  = fsm_q == IDLE;
  assign out_valid = fsm_q == DONE;
  assign out_state = out_valid ? state_q : keccak_t'('0);  // nothing but results leaves

endmodule
