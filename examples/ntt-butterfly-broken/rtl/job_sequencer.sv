// Runs jobs of `length` butterflies: opens the input for exactly so many operands, waits for the
// last result to be taken, then reports `done`. A job of length zero is done at once.
module job_sequencer
  import ntt_pkg::*;
(
    input  logic    clk,
    input  logic    rst_n,
    input  logic    start,          // heeded while not busy
    input  length_t length,
    input  logic    start_inverse,
    input  logic    accepted,       // the pipeline took an operand
    input  logic    pipeline_busy,
    output logic    accepting,
    output logic    inverse,        // of the job that runs
    output logic    busy,
    output logic    done
);

  state_t  state_q, state_d;
  length_t remaining_q;
  logic    inverse_q;
  logic    take_job;

  assign take_job = start && state_q == IDLE;

  always_comb begin
    state_d = state_q;
    unique case (state_q)
      IDLE: begin
        if (accepted && length == '0) state_d = DONE;
        else if (start) state_d = RUN;
      end
      RUN:   if (accepted && remaining_q == 1) state_d = DRAIN;
      DRAIN: if (!pipeline_busy) state_d = DONE;
      DONE:  state_d = IDLE;
    endcase
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) state_q <= IDLE;
    else state_q <= state_d;
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      remaining_q <= '0;
    end else if (take_job) begin
      remaining_q <= length;
    end else if (accepted) begin
      remaining_q <= remaining_q - 1'b1;
    end
  end

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) inverse_q <= 1'b0;
    else if (start) inverse_q <= start_inverse;
  end

  assign accepting = state_q == RUN;
  assign inverse   = inverse_q;
  assign busy      = state_q != IDLE;
  assign done      = state_q == DONE;

endmodule
