// The S-box of AES in two Boolean shares, y = SBOX[x], where x = x0 ^ x1 and y = y0 ^ y1: a
// pipeline of nine registers, one byte a cycle. Domain-oriented masking of first order.
//
// Secure against one probe, with glitches and transitions: each share has logic of its own but in
// the multiplications. The operands of these come from registers, and their shares are independent
// of each other: the halves of a byte, sums with fresh bits, or one of each. No two multiplications
// have a fresh bit in common.
//
// Source: H. Gross, S. Mangard, T. Korak, "Domain-oriented masking", TIS 2016.
module dom_sbox
  import tower_pkg::*;
(
    input  logic        clk,
    input  logic        rst_n,
    input  logic        start,  // in any cycle
    input  logic [ 7:0] x0,     // share of a secret
    input  logic [ 7:0] x1,     // share of a secret
    input  logic [17:0] r,      // fresh in every cycle
    output logic        done,   // 9 cycles after start
    output logic [ 7:0] y0,     // valid while done
    output logic [ 7:0] y1      // valid while done
);

  logic [8:0]      valid_q;
  logic [6:0][7:0] a0_q, a1_q;  // the byte, in the tower, and later
  logic [1:0][3:0] e0_q, e1_q;  // e, later
  logic [3:0]      e0, e1;      // NU (upper + lower)^2 + upper lower, the norm of the byte
  logic [1:0]      f0, f1;      // N (upper + lower)^2 + upper lower, the norm of e
  logic [1:0]      g0, g1;      // the inverse of f
  logic [3:0]      d0, d1;      // the inverse of e
  logic [7:0]      b0, b1;      // the inverse of the byte

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      valid_q <= '0;
      a0_q    <= '0;
      a1_q    <= '0;
      e0_q    <= '0;
      e1_q    <= '0;
    end else begin
      valid_q <= {valid_q[7:0], start};
      a0_q    <= {a0_q[5:0], map(TO_TOWER, x0)};
      a1_q    <= {a1_q[5:0], map(TO_TOWER, x1)};
      e0_q    <= {e0_q[0], e0};
      e1_q    <= {e1_q[0], e1};
    end
  end

  dom_add #(.WIDTH(4)) u_e (
    .clk, .rst_n, .r(r[3:0]), .q0(e0), .q1(e1),
    .p00(mul16(a0_q[0][7:4], a0_q[0][3:0]) ^ square_scale16(a0_q[0][7:4] ^ a0_q[0][3:0])),
    .p01(mul16(a0_q[0][7:4], a1_q[0][3:0])),
    .p10(mul16(a1_q[0][7:4], a0_q[0][3:0])),
    .p11(mul16(a1_q[0][7:4], a1_q[0][3:0]) ^ square_scale16(a1_q[0][7:4] ^ a1_q[0][3:0]))
  );

  dom_add #(.WIDTH(2)) u_f (
    .clk, .rst_n, .r(r[5:4]), .q0(f0), .q1(f1),
    .p00(mul4(e0[3:2], e0[1:0]) ^ scale4(square4(e0[3:2] ^ e0[1:0]))),
    .p01(mul4(e0[3:2], e1[1:0])),
    .p10(mul4(e1[3:2], e0[1:0])),
    .p11(mul4(e1[3:2], e1[1:0]) ^ scale4(square4(e1[3:2] ^ e1[1:0])))
  );

  assign g0 = square4(f0);
  assign g1 = square4(f1);

  dom_add #(.WIDTH(4)) u_d (
    .clk, .rst_n, .r(r[9:6]), .q0(d0), .q1(d1),
    .p00(mul_halves16(e0_q[1], g0)),
    .p01(mul_halves16(e0_q[1], g1)),
    .p10(mul_halves16(e1_q[1], g0)),
    .p11(mul_halves16(e1_q[1], g1))
  );

  dom_add #(.WIDTH(8)) u_b (
    .clk, .rst_n, .r(r[17:10]), .q0(b0), .q1(b1),
    .p00(mul_halves256(a0_q[6], d0)),
    .p01(mul_halves256(a0_q[6], d1)),
    .p10(mul_halves256(a1_q[6], d0)),
    .p11(mul_halves256(a1_q[6], d1))
  );

  assign done = valid_q[8];
  assign y0   = map(FROM_TOWER, b0) ^ 8'h63;
  assign y1   = map(FROM_TOWER, b1);

endmodule
