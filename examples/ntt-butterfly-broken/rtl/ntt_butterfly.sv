// NTT butterfly unit for ML-KEM: a pipelined butterfly behind a job sequencer.
//
// A job is started with its length and direction; operands and results then flow through two
// valid/ready streams, and `done` is high for one cycle after the last result was taken.
module ntt_butterfly
  import ntt_pkg::*;
(
    input  logic    clk,
    input  logic    rst_n,
    // job
    input  logic    start,
    input  length_t length,
    input  logic    start_inverse,
    output logic    busy,
    output logic    done,
    // operands, all below q
    input  logic    in_valid,
    output logic    in_ready,
    input  coeff_t  a,
    input  coeff_t  b,
    input  coeff_t  zeta,
    // results
    output logic    out_valid,
    input  logic    out_ready,
    output coeff_t  x,
    output coeff_t  y
);

  logic accepting;
  logic inverse;
  logic pipeline_ready;
  logic pipeline_busy;

  assign in_ready = accepting && pipeline_ready;

  job_sequencer u_sequencer (
      .clk(clk), .rst_n(rst_n),
      .start(start), .length(length), .start_inverse(start_inverse),
      .accepted(in_valid && in_ready), .pipeline_busy(pipeline_busy),
      .accepting(accepting), .inverse(inverse), .busy(busy), .done(done)
  );

  butterfly u_butterfly (
      .clk(clk), .rst_n(rst_n), .inverse(inverse),
      .in_valid(in_valid && accepting), .in_ready(pipeline_ready),
      .a(a), .b(b), .zeta(zeta),
      .out_valid(out_valid), .out_ready(out_ready), .x(x), .y(y),
      .busy(pipeline_busy)
  );

endmodule
