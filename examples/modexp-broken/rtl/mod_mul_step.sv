// A part of a shift-add multiplication modulo `modulus`: takes BITS bits of the multiplier, the
// most significant first, and makes of the sum so far
//
//     (sum * 2^BITS + digit * multiplicand) mod modulus,   for sum, multiplicand < modulus.
//
// Each bit is doubled, added and reduced in the same way; its value only chooses what is added.
module mod_mul_step #(
    parameter int unsigned WIDTH = 16,
    parameter int unsigned BITS  = 4
) (
    input  logic [WIDTH-1:0] sum,
    input  logic [WIDTH-1:0] multiplicand,
    input  logic [BITS-1:0]  digit,
    input  logic [WIDTH-1:0] modulus,
    output logic [WIDTH-1:0] next_sum
);

  typedef logic [WIDTH-1:0] word_t;
  typedef logic [WIDTH:0] wide_t;

  // value mod m, for value < 2m.
  function automatic word_t reduce(wide_t value, word_t m);
    return value >= {1'b0, m} ? value[WIDTH-1:0] - m : value[WIDTH-1:0];
  endfunction

  always_comb begin
    next_sum = sum;
    for (int unsigned step = 0; step < BITS; step++) begin
      next_sum = reduce({next_sum, 1'b0}, modulus);
      next_sum = reduce({1'b0, next_sum}
                        + {1'b0, digit[BITS-1-step] ? multiplicand : word_t'(0)}, modulus);
    end
  end

endmodule
