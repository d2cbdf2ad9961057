// power = base^exponent mod modulus, by square-and-multiply-always, for base < modulus and
// modulus > 1. The exponent is gone through from its most significant bit.
//
// Constant time: every bit costs a square and a product, four cycles each. Where the bit is 0 the
// product is made all the same and then dropped; only this choice of data looks at the bit.
module modexp #(
    parameter int unsigned EXPONENT_WIDTH = 16,
    localparam int unsigned WIDTH = 16
) (
    input  logic                      clk,
    input  logic                      rst_n,
    input  logic                      start,     // heeded while not busy
    input  logic [WIDTH-1:0]          base,
    input  logic [EXPONENT_WIDTH-1:0] exponent,  // secret
    input  logic [WIDTH-1:0]          modulus,
    output logic                      busy,
    output logic                      done,      // for one cycle
    output logic [WIDTH-1:0]          power      // valid while done
);

  localparam int unsigned DIGIT = 4;  // bits of the multiplier a cycle
  localparam int unsigned COUNT_WIDTH = $clog2(EXPONENT_WIDTH);
  localparam logic [COUNT_WIDTH-1:0] LAST_BIT = COUNT_WIDTH'(EXPONENT_WIDTH - 1);

  typedef enum logic [1:0] {
    IDLE,
    SQUARE,
    MULTIPLY
  } state_t;

  state_t                    state_q;
  logic [WIDTH-1:0]          base_q, modulus_q, power_q, sum_q;
  logic [EXPONENT_WIDTH-1:0] exponent_q;
  logic [COUNT_WIDTH-1:0]    bit_q;
  logic [1:0]                digit_q;  // the four digits of a multiplier, counted down

  // The product of the power with itself or with the base: complete after the last digit.
  logic [WIDTH-1:0] multiplier;
  logic [DIGIT-1:0] digit;
  logic [WIDTH-1:0] product;

  assign multiplier = state_q == SQUARE ? power_q : base_q;
  assign digit      = multiplier[DIGIT * digit_q +: DIGIT];

  mod_mul_step #(.WIDTH(WIDTH), .BITS(DIGIT)) u_step (
      .sum(sum_q), .multiplicand(power_q), .digit(digit), .modulus(modulus_q), .next_sum(product)
  );

  always_ff @(posedge clk or negedge rst_n) begin
    if (!rst_n) begin
      state_q    <= IDLE;
      base_q     <= '0;
      modulus_q  <= '0;
      power_q    <= '0;
      sum_q      <= '0;
      exponent_q <= '0;
      bit_q      <= '0;
      digit_q    <= '0;
      done       <= 1'b0;
    end else begin
      done <= 1'b0;
      if (state_q != IDLE) begin
        digit_q <= digit_q - 2'd1;
        sum_q   <= digit_q == '0 ? '0 : product;
      end
      unique case (state_q)
        IDLE:
          if (start) begin
            base_q     <= base;
            modulus_q  <= modulus;
            exponent_q <= exponent;
            power_q    <= WIDTH'(1);
            sum_q      <= '0;
            bit_q      <= '0;
            digit_q    <= '1;
            state_q    <= SQUARE;
          end
        SQUARE:
          if (digit_q == '0) begin
            power_q <= product;
            state_q <= MULTIPLY;
          end
        MULTIPLY:
          if (digit_q == '0) begin
            power_q    <= exponent_q[EXPONENT_WIDTH-1] ? product : power_q;
            exponent_q <= exponent_q << 1;
            bit_q      <= bit_q + 1'b1;
            state_q    <= bit_q == LAST_BIT ? IDLE : SQUARE;
            done       <= bit_q == LAST_BIT;
          end
      endcase
    end
  end

  assign busy  = state_q != IDLE;
  assign power = power_q;

endmodule
