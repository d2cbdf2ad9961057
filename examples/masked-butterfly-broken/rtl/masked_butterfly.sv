// The forward butterfly of the ML-KEM transform (FIPS 203, algorithm 9) in two arithmetic shares
// modulo q = 3329, for shares and zeta < q:
//
//     x = a + zeta * b,   y = a - zeta * b,   where a = a0 + a1, b = b0 + b1, x = x0 + x1, ...
//
// Not secure: to save a multiplier the shares of b are added before the product, marked LEAK below.
// The results are in shares all the same, for a0 + zeta * b and a1 are.
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

  localparam logic [12:0] Q = 13'd3329;

  logic [3:0]       valid_q;
  logic [3:0][11:0] a1_q;
  logic [12:0]      sum;
  logic [11:0]      b;

  assign sum = {1'b0, b0} + {1'b0, b1};           // LEAK: the secret b but for a multiple of q,
  assign b   = 12'(sum >= Q ? sum - Q : sum);     // and b itself

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      valid_q <= '0;
      a1_q    <= '0;
    end else begin
      valid_q <= {valid_q[2:0], start};
      a1_q    <= {a1_q[2:0], a1};
    end
  end

  share_butterfly u_share0 (.clk, .rst_n, .a(a0), .b, .zeta, .x(x0), .y(y0));

  assign x1   = a1_q[3];
  assign y1   = a1_q[3];
  assign done = valid_q[3];

endmodule
