// The butterfly of one share: x = a + zeta * b, y = a - zeta * b modulo q = 3329, for a, b,
// zeta < q. A pipeline of four registers: the product, Barrett's estimate, which is at most one too
// small, the one subtraction that this needs, and sum and difference.
module share_butterfly (
    input  logic        clk,
    input  logic        rst_n,
    input  logic [11:0] a,
    input  logic [11:0] b,
    input  logic [11:0] zeta,
    output logic [11:0] x,     // 4 cycles later
    output logic [11:0] y
);

  localparam logic [11:0] Q = 12'd3329;
  localparam logic [12:0] MU = 13'd5039;  // floor(2^24 / q)

  logic [2:0][11:0] a_q;
  logic [23:0]      product_q;
  logic [12:0]      remainder_q;  // below 2q
  logic [11:0]      reduced_q;
  logic [11:0]      estimate;     // floor(product / q), or one less

  assign estimate = 12'((37'(product_q) * 37'(MU)) >> 24);

  // value mod q, for value < 2q.
  function automatic logic [11:0] once(logic [12:0] value);
    return value >= {1'b0, Q} ? 12'(value - {1'b0, Q}) : value[11:0];
  endfunction

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      a_q         <= '0;
      product_q   <= '0;
      remainder_q <= '0;
      reduced_q   <= '0;
      x           <= '0;
      y           <= '0;
    end else begin
      a_q         <= {a_q[1:0], a};
      product_q   <= 24'(b) * 24'(zeta);
      remainder_q <= 13'(product_q - 24'(estimate) * 24'(Q));
      reduced_q   <= once(remainder_q);
      x           <= once({1'b0, a_q[2]} + {1'b0, reduced_q});
      y           <= once({1'b0, a_q[2]} + {1'b0, Q} - {1'b0, reduced_q});
    end
  end

endmodule
