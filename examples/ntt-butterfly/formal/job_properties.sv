// A job takes as many operands as it was started with, and is done when all results are delivered.
module job_properties
  import ntt_pkg::*;
(
    input logic                clk,
    input logic                rst_n,
    input logic                start,
    input length_t             length,
    input logic                busy,
    input logic                done,
    input logic                in_valid,
    input logic                in_ready,
    input logic                out_valid,
    input logic                out_ready,
    input logic                inverse,
    input logic                pipeline_busy,
    input state_t              state,
    input length_t             remaining,
    input logic  [LATENCY-1:0] in_flight
);

  length_t job_length;
  length_t accepted;
  length_t delivered;
  logic    begins;

  assign begins = start && !busy;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      job_length <= '0;
      accepted   <= '0;
      delivered  <= '0;
    end else if (begins) begin
      job_length <= length;
      accepted   <= '0;
      delivered  <= '0;
    end else begin
      accepted  <= accepted + length_t'(in_valid && in_ready);
      delivered <= delivered + length_t'(out_valid && out_ready);
    end
  end

  // The cycle before.
  logic was_flying, was_done, was_inverse;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      was_flying  <= 1'b0;
      was_done    <= 1'b0;
      was_inverse <= 1'b0;
    end else begin
      was_flying  <= pipeline_busy;
      was_done    <= done;
      was_inverse <= inverse;
    end
  end

  always_comb begin
    if (rst_n) begin
      a_state: assert (state inside {IDLE, RUN, DRAIN, DONE});
      // Nothing is lost, nothing is made up.
      a_accepted: assert (accepted + remaining == job_length && accepted <= job_length);
      a_in_flight: assert (length_t'($countones(in_flight)) == accepted - delivered);
      a_delivered: assert (delivered <= accepted);

      if (state == RUN) a_run_wants_more: assert (remaining != '0);
      if (state != RUN) a_closed: assert (remaining == '0 && !in_ready);
      if (done) a_done_complete: assert (delivered == job_length);
      if (!busy) a_idle_empty: assert (!pipeline_busy);
      if (was_done) a_done_once: assert (!done);
      if (was_flying) a_direction_holds: assert (inverse == was_inverse);
    end
  end

  a_done_busy: assert property (@(posedge clk) disable iff (!rst_n) !done || busy);

  c_done:  cover property (@(posedge clk) disable iff (!rst_n) done && job_length == 1);
  c_empty: cover property (@(posedge clk) disable iff (!rst_n) done && job_length == 0);
  c_drain: cover property (@(posedge clk) disable iff (!rst_n) state == DRAIN && !out_ready);
  c_ignored_start: cover property (@(posedge clk) disable iff (!rst_n) start && state == RUN);

endmodule

bind ntt_butterfly job_properties u_properties (
    .*,
    .state(u_sequencer.state_q),
    .remaining(u_sequencer.remaining_q),
    .in_flight(u_butterfly.valid_q)
);
