// The AND of two secrets in two Boolean shares, four bits wide: q = a & b, or a & ~b while
// `complement`, where a = a0 ^ a1, b = b0 ^ b1 and q = q0 ^ q1. Without a register on the way.
//
// Secure against one probe as long as every net has settled: the sums are made from left to right,
// and the fresh bit is in all of them. Not secure with glitches: nothing makes the gates switch in
// that order, and q1 has a0, a1, b0 and b1 in its cone. Here `complement` delays the products with
// b0, so a0 & b1 and a1 & b0 reach `sum2` together and later than r: how often it switches depends
// on both secrets.
//
// Source: Y. Ishai, A. Sahai, D. Wagner, "Private circuits", CRYPTO 2003; glitches:
// S. Mangard, T. Popp, B. Gammel, "Side-channel leakage of masked CMOS gates", CT-RSA 2005.
module isw_and (
    input  logic       clk,
    input  logic       rst_n,
    input  logic       start,
    input  logic       complement,  // a & ~b
    input  logic [3:0] a0,          // share of a secret
    input  logic [3:0] a1,          // share of a secret
    input  logic [3:0] b0,          // share of a secret
    input  logic [3:0] b1,          // share of a secret
    input  logic [3:0] r,           // fresh in every cycle
    output logic       done,        // for one cycle, 2 cycles after start
    output logic [3:0] q0,          // valid while done
    output logic [3:0] q1           // valid while done
);

  logic       valid_q, complement_q;
  logic [3:0] a0_q, a1_q, b0_q, b1_q, r_q;
  logic [3:0] c0, sum1, sum2, sum3, sum4;

  // ~b is b0 ^ 1 and b1: one share of it is complemented.
  assign c0   = b0_q ^ {4{complement_q}};
  assign sum1 = r_q ^ (a0_q & b1_q);
  assign sum2 = sum1 ^ (a1_q & c0);
  assign sum3 = sum2 ^ (a1_q & b1_q);
  assign sum4 = r_q ^ (a0_q & c0);

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      a0_q         <= '0;
      a1_q         <= '0;
      b0_q         <= '0;
      b1_q         <= '0;
      r_q          <= '0;
      complement_q <= 1'b0;
      q0           <= '0;
      q1           <= '0;
      valid_q      <= 1'b0;
      done         <= 1'b0;
    end else begin
      if (start) begin
        a0_q         <= a0;
        a1_q         <= a1;
        b0_q         <= b0;
        b1_q         <= b1;
        r_q          <= r;
        complement_q <= complement;
      end
      q0      <= sum4;
      q1      <= sum3;
      valid_q <= start;
      done    <= valid_q;
    end
  end

endmodule
