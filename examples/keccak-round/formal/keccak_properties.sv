// The control of the permutation: every state taken is worked on for exactly 24 rounds, and its
// result waits until it is taken. What a round computes is for the tests to compare.
module keccak_properties
  import keccak_pkg::*;
(
    input logic   clk,
    input logic   rst_n,
    input logic   in_valid,
    input logic   in_ready,
    input logic   out_valid,
    input logic   out_ready,
    input fsm_t   fsm_q,
    input round_t index_q
);

  // Counts the rounds of the state at work by itself: cycles between taken and ready.
  round_t worked;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) worked <= '0;
    else if (in_valid && in_ready) worked <= '0;
    else if (!in_ready && !out_valid) worked <= worked + 1'b1;
  end

  // The cycle before.
  logic past_valid, past_taken, past_waiting, past_delivered;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) past_valid <= 1'b0;
    else past_valid <= 1'b1;
  end

  always_ff @(posedge clk) begin
    past_taken     <= in_valid && in_ready;
    past_waiting   <= out_valid && !out_ready;
    past_delivered <= out_valid && out_ready;
  end

  always_comb begin
    if (rst_n) begin
      a_fsm_legal: assert (fsm_q inside {IDLE, ROUND, DONE});
      a_index_bounded: assert (index_q < round_t'(ROUNDS));
      a_exclusive: assert (!(in_ready && out_valid));

      if (fsm_q != ROUND) a_index_rests: assert (index_q == '0);
      if (fsm_q == ROUND) a_index_counts: assert (index_q == worked);
      if (out_valid) a_all_rounds: assert (worked == round_t'(ROUNDS));

      if (past_valid && past_taken) a_starts: assert (fsm_q == ROUND && index_q == '0);
      if (past_valid && past_waiting) a_waits: assert (out_valid);
      if (past_valid && past_delivered) a_once: assert (in_ready && !out_valid);
    end
  end

  a_ready: assert property (@(posedge clk) disable iff (!rst_n) in_ready == (fsm_q == IDLE));

  c_done:   cover property (@(posedge clk) disable iff (!rst_n) out_valid && out_ready);
  c_waits:  cover property (@(posedge clk) disable iff (!rst_n) past_valid && past_waiting);
  c_second: cover property (@(posedge clk) disable iff (!rst_n)
                            past_valid && past_delivered && in_valid);

endmodule

bind keccak_f1600 keccak_properties u_properties (.*);
