// The AND of two secrets in two Boolean shares, four bits wide: q = a & b, where a = a0 ^ a1,
// b = b0 ^ b1 and q = q0 ^ q1. Domain-oriented masking, with reused randomness.
//
// Not secure: the random share b1 masks what mixes the two domains, to save fresh bits. It has been
// used for b already, and where a1 is 1, (a1 & b0) ^ b1 is b itself, marked LEAK below. The other
// domain is lucky: (a0 & b1) ^ b1 has no b0 in it.
module dom_and (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic [3:0] a0,     // share of a secret
    input  logic [3:0] a1,     // share of a secret
    input  logic [3:0] b0,     // share of a secret
    input  logic [3:0] b1,     // share of a secret
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
      cross0_q <= (a0 & b1) ^ b1;
      cross1_q <= (a1 & b0) ^ b1;  // LEAK: b0 ^ b1 where a1 is 1
      inner1_q <= a1 & b1;
      done     <= start;
    end
  end

  assign q0 = inner0_q ^ cross0_q;
  assign q1 = inner1_q ^ cross1_q;

endmodule
