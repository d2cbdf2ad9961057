// The forward butterfly of the ML-KEM transform (FIPS 203, algorithm 9) in two arithmetic shares
// modulo q = 3329, for shares and zeta < q:
//
//     x = a + zeta * b,   y = a - zeta * b,   where a = a0 + a1, b = b0 + b1, x = x0 + x1, ...
//
// Secure against one probe, with glitches and transitions: the butterfly is linear, so each share
// has one of its own, and no gate and no register ever has anything of both.
module masked_butterfly (
    input  logic        clk,
    input  logic        rst_n,
    input  logic        start,  // in any cycle
    input  logic [11:0] a0,     // share of a secret
    input  logic [11:0] a1,     // share of a secret
    input  logic [11:0] b0,     // share of a secret
    input  logic [11:0] b1,     // share of a secret
    input  logic [11:0] zeta,
    output logic        done,   // 4 cycles after start
    output logic [11:0] x0,     // valid while done, and so are the others
    output logic [11:0] x1,
    output logic [11:0] y0,
    output logic [11:0] y1
);

  logic [3:0] valid_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) valid_q <= '0;
    else valid_q <= {valid_q[2:0], start};
  end

  share_butterfly u_share0 (.clk, .rst_n, .a(a0), .b(b0), .zeta, .x(x0), .y(y0));
  share_butterfly u_share1 (.clk, .rst_n, .a(a1), .b(b1), .zeta, .x(x1), .y(y1));

  assign done = valid_q[3];

endmodule
