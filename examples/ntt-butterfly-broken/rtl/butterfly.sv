// One butterfly a cycle, LATENCY cycles long, with back-pressure.
//
//   forward (Cooley-Tukey,   FIPS 203 algorithm 9):   x = a + zeta * b,  y = a - zeta * b
//   inverse (Gentleman-Sande, FIPS 203 algorithm 10):  x = a + b,         y = zeta * (b - a)
//
// All arithmetic is modulo q. `inverse` must not change while results are on their way (`busy`).
module butterfly
  import ntt_pkg::*;
(
    input  logic   clk,
    input  logic   rst_n,
    input  logic   inverse,
    input  logic   in_valid,
    output logic   in_ready,
    input  coeff_t a,
    input  coeff_t b,
    input  coeff_t zeta,
    output logic   out_valid,
    input  logic   out_ready,
    output coeff_t x,
    output coeff_t y,
    output logic   busy
);

  // The whole pipeline moves or stands still: it stands while a result waits to be taken.
  logic               advance;
  logic [LATENCY-1:0] valid_q;

  assign advance   = out_ready || !out_valid;
  assign in_ready  = advance;
  assign out_valid = valid_q[LATENCY-1];
  assign busy      = |valid_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) valid_q <= '0;
    else if (advance) valid_q <= {valid_q[LATENCY-2:0], in_valid};
  end

  // Stage 1: what goes around the multiplier (`even`) and what goes through it (`factor`).
  coeff_t before_sum;
  coeff_t before_difference;
  coeff_t factor_q;
  coeff_t zeta_q;

  mod_add u_before_sum (.a(a), .b(b), .sum(before_sum));
  mod_sub u_before_difference (.a(b), .b(a), .difference(before_difference));

  // Stages 2 to 4: multiply by zeta, while `even` keeps pace.
  logic [LATENCY-2:0][WIDTH-1:0] even_q;
  coeff_t                        product;

  mod_mul_barrett u_multiplier (
      .clk(clk), .enable(advance), .a(factor_q), .b(zeta_q), .product(product)
  );

  // Stage 5: the results.
  coeff_t after_sum;
  coeff_t after_difference;
  coeff_t last_even;

  assign last_even = even_q[LATENCY-2];

  mod_add u_after_sum (.a(last_even), .b(product), .sum(after_sum));
  mod_sub u_after_difference (.a(last_even), .b(product), .difference(after_difference));

  // Only the valid bits need a reset: data without one is never looked at.
  always_ff @(posedge clk) begin
    if (advance) begin
      factor_q            <= inverse ? before_difference : b;
      zeta_q              <= zeta;
      even_q[0]           <= inverse ? before_sum : a;
      even_q[LATENCY-2:1] <= even_q[LATENCY-3:0];
      x                   <= inverse ? last_even : after_sum;
      y                   <= inverse ? product : after_difference;
    end
  end

endmodule
