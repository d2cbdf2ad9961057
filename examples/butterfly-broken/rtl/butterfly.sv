// The forward butterfly of the ML-KEM transform (FIPS 203, algorithm 9), modulo q = 3329:
//
//     x = a + zeta * b,   y = a - zeta * b,   for a, b, zeta < q.
//
// Not constant time: Barrett's estimate is made with so few bits that it is up to 11 too small, and
// q is then subtracted until the remainder is in range, marked LEAK below. How often depends on
// zeta * b, and so on the secret b.
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
  localparam logic [8:0] MU = 9'd314;  // floor(2^20 / q)

  typedef enum logic [1:0] {
    IDLE,      // multiplies what comes in
    ESTIMATE,  // subtracts the estimated multiple of q
    REDUCE,    // subtracts q for as long as that is possible
    COMBINE    // adds and subtracts
  } state_t;

  state_t      state_q;
  logic [11:0] a_q;
  logic [23:0] product_q;
  logic [15:0] remainder_q;  // below 12q after ESTIMATE, below q after REDUCE

  logic [11:0] estimate;     // floor(product / q), or up to 11 less
  logic [15:0] reduced;

  assign estimate = 12'((33'(product_q) * 33'(MU)) >> 20);
  assign reduced  = remainder_q - 16'(Q);

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
          remainder_q <= 16'(product_q - 24'(estimate) * 24'(Q));
          state_q     <= REDUCE;
        end
        REDUCE:
          if (remainder_q >= 16'(Q)) remainder_q <= reduced;  // LEAK: and stays here
          else state_q <= COMBINE;
        COMBINE: begin
          x         <= once({1'b0, a_q} + remainder_q[12:0]);
          y         <= once({1'b0, a_q} + {1'b0, Q} - remainder_q[12:0]);
          out_valid <= 1'b1;
          state_q   <= IDLE;
        end
      endcase
    end
  end

  assign in_ready = state_q == IDLE;

endmodule
