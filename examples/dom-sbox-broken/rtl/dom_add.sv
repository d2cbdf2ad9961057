// The second half of a domain-oriented multiplication: the four products of shares become two
// shares. What mixes the domains is masked by r and stored before it is added; the sums are stored
// too, so that no glitch of the addition reaches what comes next.
module dom_add #(
    parameter int unsigned WIDTH = 4
) (
    input  logic             clk,
    input  logic             rst_n,
    input  logic [WIDTH-1:0] p00,  // share 0 with share 0
    input  logic [WIDTH-1:0] p01,  // share 0 with share 1
    input  logic [WIDTH-1:0] p10,  // share 1 with share 0
    input  logic [WIDTH-1:0] p11,  // share 1 with share 1
    input  logic [WIDTH-1:0] r,    // fresh
    output logic [WIDTH-1:0] q0,   // 2 cycles after the products
    output logic [WIDTH-1:0] q1
);

  logic [WIDTH-1:0] inner0_q, cross0_q, inner1_q, cross1_q;

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      inner0_q <= '0;
      cross0_q <= '0;
      inner1_q <= '0;
      cross1_q <= '0;
      q0       <= '0;
      q1       <= '0;
    end else begin
      inner0_q <= p00;
      cross0_q <= p01 ^ r;
      cross1_q <= p10 ^ r;
      inner1_q <= p11;
      q0       <= inner0_q ^ cross0_q;
      q1       <= inner1_q ^ cross1_q;
    end
  end

endmodule
