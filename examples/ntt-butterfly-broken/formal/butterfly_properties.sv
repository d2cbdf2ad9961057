// The pipeline computes in range, exactly, in order and without losing anything.
//
// Every stage has its own range property: each follows from the one before it in a single step,
// which is what lets induction prove all of them at depth 1.
module butterfly_properties
  import ntt_pkg::*;
(
    input logic                            clk,
    input logic                            rst_n,
    input logic                            inverse,
    input logic                            in_valid,
    input logic                            in_ready,
    input coeff_t                          a,
    input coeff_t                          b,
    input coeff_t                          zeta,
    input logic                            out_valid,
    input logic                            out_ready,
    input coeff_t                          x,
    input coeff_t                          y,
    input logic                            advance,
    input logic   [LATENCY-1:0]            valid_q,
    input coeff_t                          factor_q,
    input coeff_t                          zeta_q,
    input logic   [LATENCY-2:0][WIDTH-1:0] even_q,
    input coeff_t                          product,
    input wide_t                           wide_q,
    input logic   [WIDTH:0]                estimate_q,
    input logic   [WIDTH:0]                low_q
);

  localparam wide_t MODULUS = wide_t'(Q);

  // What the multiplier forgets on its way: the whole product, and what the estimate leaves of it.
  wide_t wide_2, left_2, left_3;

  assign left_2 = wide_2 - wide_t'(estimate_q) * MODULUS;

  always_ff @(posedge clk) begin
    if (advance) begin
      wide_2 <= wide_q;
      left_3 <= left_2;
    end
  end

  // The cycle before.
  logic   stalled;
  coeff_t x_before, y_before;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) stalled <= 1'b0;
    else stalled <= out_valid && !out_ready;
  end

  always_ff @(posedge clk) begin
    x_before <= x;
    y_before <= y;
  end

  // Operands are coefficients: the one thing asked of the surroundings.
  always_comb if (in_valid) m_operands: assume (a < Q && b < Q && zeta < Q);

  always_comb begin
    if (rst_n) begin
      if (valid_q[0]) a_factors:  assert (factor_q < Q && zeta_q < Q);
      if (valid_q[0]) a_even_1:   assert (even_q[0] < Q);
      if (valid_q[1]) a_even_2:   assert (even_q[1] < Q);
      if (valid_q[2]) a_even_3:   assert (even_q[2] < Q);
      if (valid_q[3]) a_even_4:   assert (even_q[3] < Q);
      if (valid_q[2]) a_low:      assert (low_q == wide_2[WIDTH:0]);
      // The error bound of the Barrett constant, as derived in ntt_pkg.
      if (valid_q[2]) a_estimate: assert (left_2 < 2 * MODULUS);
      if (valid_q[3]) a_left:     assert (left_3 < 2 * MODULUS);
      if (valid_q[3]) a_product:  assert (product < Q);
      // Below q and equal to the wide product but for a multiple of q: it is the remainder.
      if (valid_q[3]) a_congruent: assert (wide_t'(product) == left_3
                                           || wide_t'(product) + MODULUS == left_3);
      if (out_valid)  a_range:    assert (x < Q && y < Q);

      if (stalled)    a_hold:     assert (out_valid && x == x_before && y == y_before);
      a_ready: assert (in_ready == (out_ready || !out_valid));
    end
  end

  c_forward: cover property (@(posedge clk) disable iff (!rst_n) out_valid && !inverse && x > y);
  c_inverse: cover property (@(posedge clk) disable iff (!rst_n) out_valid && inverse && x > y);
  c_full:    cover property (@(posedge clk) disable iff (!rst_n) &valid_q && !out_ready);
  c_resumes: cover property (@(posedge clk) disable iff (!rst_n) stalled && out_ready);

endmodule

bind butterfly butterfly_properties u_properties (
    .*,
    .wide_q(u_multiplier.wide_q),
    .estimate_q(u_multiplier.estimate_q),
    .low_q(u_multiplier.low_q)
);
