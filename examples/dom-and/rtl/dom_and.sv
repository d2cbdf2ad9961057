// The AND of two secrets in two Boolean shares, four bits wide: q = a & b, where a = a0 ^ a1,
// b = b0 ^ b1 and q = q0 ^ q1. Domain-oriented masking of first order, for operands whose shares
// are independent of each other.
//
// Secure against one probe, with glitches and transitions: what mixes the two domains is masked by
// a fresh bit and stored before it is added. No glitch passes a register, so nothing in domain 0
// has ever more than that sum of domain 1, which is uniform, and the other way round.
//
// Source: H. Gross, S. Mangard, T. Korak, "Domain-oriented masking", TIS 2016.
module dom_and (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic [3:0] a0,     // share of a secret
    input  logic [3:0] a1,     // share of a secret
    input  logic [3:0] b0,     // share of a secret
    input  logic [3:0] b1,     // share of a secret
    input  logic [3:0] r,      // fresh in every cycle
    output logic       done,   // for one cycle, 1 cycle after start
    output logic [3:0] q0,     // valid while done
    output logic [3:0] q1      // valid while done
);

  logic [3:0] inner0_q, cross0_q, inner1_q, cross1_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      inner0_q <= '0;
      cross0_q <= '0;
      inner1_q <= '0;
      cross1_q <= '0;
      done     <= 1'b0;
    end else begin
      inner0_q <= a0 & b0;
      cross0_q <= (a0 & b1) ^ r;
      cross1_q <= (a1 & b0) ^ r;
      inner1_q <= a1 & b1;
      done     <= start;
    end
  end

  assign q0 = inner0_q ^ cross0_q;
  assign q1 = inner1_q ^ cross1_q;

endmodule
