// difference = (a - b) mod q, for a, b < q.
module mod_sub
  import ntt_pkg::*;
(
    input  coeff_t a,
    input  coeff_t b,
    output coeff_t difference
);

  logic [WIDTH:0] raw;

  assign raw        = {1'b0, a} - {1'b0, b};  // the top bit is the borrow
  assign difference = raw[WIDTH] ? raw + {1'b0, Q} : raw;

endmodule
