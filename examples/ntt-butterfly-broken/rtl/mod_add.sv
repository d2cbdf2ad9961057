// sum = (a + b) mod q, for a, b < q.
module mod_add
  import ntt_pkg::*;
(
    input  coeff_t a,
    input  coeff_t b,
    output coeff_t sum
);

  logic [WIDTH:0] total;
  logic [WIDTH:0] reduced;

  assign total   = {1'b0, a} + {1'b0, b};
  assign reduced = total - {1'b0, Q};  // the top bit is the borrow: total was below q
  assign sum     = reduced[WIDTH] ? total[WIDTH-1:0] : reduced[WIDTH-1:0];

endmodule
