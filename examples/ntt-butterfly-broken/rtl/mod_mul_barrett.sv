// product = a * b mod q, for a, b < q, three enabled cycles later. See ntt_pkg for the error bound.
module mod_mul_barrett
  import ntt_pkg::*;
(
    input  logic   clk,
    input  logic   enable,
    input  coeff_t a,
    input  coeff_t b,
    output coeff_t product
);

  // 2q < 2^13: the low bits of product and multiple are all that the remainder needs.
  typedef logic [WIDTH:0] narrow_t;
  typedef logic [2*WIDTH+MU_WIDTH-1:0] scaled_t;

  wide_t   wide_q;      // stage 1: a * b
  narrow_t estimate_q;  // stage 2: floor(a * b / q), or one less
  narrow_t low_q;       //          a * b mod 2^13
  coeff_t  product_q;   // stage 3: a * b mod q

  narrow_t estimate;
  narrow_t remainder;
  coeff_t  reduced;

  assign estimate  = narrow_t'((scaled_t'(wide_q) * scaled_t'(MU)) >> SHIFT);
  assign remainder = low_q - estimate_q * narrow_t'(Q);
  assign reduced   = coeff_t'(remainder - narrow_t'(Q));  // what is subtracted leaves 12 bits

  always_ff @(posedge clk) begin
    if (enable) begin
      wide_q     <= wide_t'(a) * wide_t'(b);
      estimate_q <= estimate;
      low_q      <= wide_q[WIDTH:0];
      product_q  <= remainder >= narrow_t'(Q) ? reduced : remainder[WIDTH-1:0];
    end
  end

  assign product = product_q;

endmodule
