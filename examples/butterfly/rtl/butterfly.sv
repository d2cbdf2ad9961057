// The forward butterfly of the ML-KEM transform (FIPS 203, algorithm 9), modulo q = 3329:
//
//     x = a + zeta * b,   y = a - zeta * b,   for a, b, zeta < q.
//
// Constant time: the product is reduced by Barrett's estimate and exactly one subtraction, which is
// always made and of which a multiplexer takes the result or not. 2^24 = 5039 * q + 2385, so the
// estimate of the quotient is right or one too small for all products.
module butterfly (
    input  logic        clk,
    input  logic        rst_n,
    input  logic        in_valid,
    output logic        in_ready,
    input  logic [11:0] a,          // secret
    input  logic [11:0] b,          // secret
    input  logic [11:0] zeta,
    output logic        out_valid,  // for one cycle
    output logic [11:0] x,
    output logic [11:0] y
);

  localparam logic [11:0] Q = 12'd3329;
  localparam logic [12:0] MU = 13'd5039;  // floor(2^24 / q)

  typedef enum logic [1:0] {
    IDLE,      // multiplies what comes in
    ESTIMATE,  // subtracts the estimated multiple of q
    REDUCE,    // subtracts q if that is possible
    COMBINE    // adds and subtracts
  } state_t;

  state_t      state_q;
  logic [11:0] a_q;
  logic [23:0] product_q;
  logic [12:0] remainder_q;  // below 2q after ESTIMATE, below q after REDUCE

  logic [11:0] estimate;     // floor(product / q), or one less
  logic [12:0] reduced;

  assign estimate = 12'((37'(product_q) * 37'(MU)) >> 24);
  assign reduced  = remainder_q - {1'b0, Q};  // the top bit is the borrow

  // value mod q, for value < 2q.
  function automatic logic [11:0] once(logic [12:0] value);
    return value >= {1'b0, Q} ? 12'(value - {1'b0, Q}) : value[11:0];
  endfunction

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state_q     <= IDLE;
      a_q         <= '0;
      product_q   <= '0;
      remainder_q <= '0;
      out_valid   <= 1'b0;
      x           <= '0;
      y           <= '0;
    end else begin
      out_valid <= 1'b0;
      unique case (state_q)
        IDLE:
          if (in_valid) begin
            a_q       <= a;
            product_q <= 24'(b) * 24'(zeta);
            state_q   <= ESTIMATE;
          end
        ESTIMATE: begin
          remainder_q <= 13'(product_q - 24'(estimate) * 24'(Q));
          state_q     <= REDUCE;
        end
        REDUCE: begin
          remainder_q <= reduced[12] ? remainder_q : reduced;
          state_q     <= COMBINE;
        end
        COMBINE: begin
          x         <= once({1'b0, a_q} + remainder_q);
          y         <= once({1'b0, a_q} + {1'b0, Q} - remainder_q);
          out_valid <= 1'b1;
          state_q   <= IDLE;
        end
      endcase
    end
  end

  assign in_ready = state_q == IDLE;

endmodule
